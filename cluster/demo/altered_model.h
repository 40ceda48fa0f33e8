// Models whose tensors are changed as they are read. Benches use them as controls, which show that
// a model's results come from what it has learnt. The file stays as it is.
#pragma once

#include <memory>

#include "topology/model/model_source.h"

namespace potluck {

// Puts zeros into the last matrix of self-conditioning, which then adds exactly 0 to each row of
// the canvas. So every step knows the ids of the canvas alone, as a first step does.
std::shared_ptr<const ModelSource> without_self_conditioning(
    std::shared_ptr<const ModelSource> source);

// Shuffles the values within each tensor, in an order that follows from the seed. Reading a tensor
// that stores several values in a block throws Fault{input}.
std::shared_ptr<const ModelSource> with_shuffled_weights(std::shared_ptr<const ModelSource> source,
                                                         uint64_t seed);

}  // namespace potluck
