// A model whose tensors are changed as they are read: for controls, which show that what a model
// reaches comes from what it has learnt. The file stays as it is.
#pragma once

#include <memory>

#include "topology/model/model_source.h"

namespace potluck {

// Zeros in self-conditioning's last matrix, which then adds exactly 0 to each row of the canvas: as
// in a first step, every step knows the canvas' ids alone.
std::shared_ptr<const ModelSource> without_self_conditioning(
    std::shared_ptr<const ModelSource> source);

// The values of each tensor in an order of their own that follows from the seed. Tensors of a model
// that stores several values in a block cannot be read: Fault{input}.
std::shared_ptr<const ModelSource> with_shuffled_weights(std::shared_ptr<const ModelSource> source,
                                                         uint64_t seed);

}  // namespace potluck
