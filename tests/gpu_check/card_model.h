// A model of any shape whose weights cost neither time nor memory: all tensors of a type show the
// same few megabytes of drawn blocks, again and again.
#pragma once

#include <memory>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

enum class Mix : uint8_t { q8_0, q4_k_m };

// As cards see them: what each tensor of a published file is stored in. shape stands behind
// "synthetic:" (topology/model/synthetic.h). Throws Fault{input}.
std::unique_ptr<ModelSource> make_card_model(const std::string& shape, Mix mix, uint32_t seed);

// `bytes` of drawn blocks whose values have a variance of about 1 / columns; many of them repeat.
TensorBytes drawn_blocks(DType type, uint64_t bytes, int64_t columns, uint32_t seed);

}  // namespace potluck
