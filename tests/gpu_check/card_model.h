// A model of any shape whose matrices are drawn on the card that loads them.
#pragma once

#include <memory>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

enum class Mix : uint8_t { q8_0, q4_k_m };

// As cards see them: what each tensor of a published file is stored in. shape stands behind
// "synthetic:" (topology/model/synthetic.h). Throws Fault{input}.
// Backends load it by put_drawn() (drawn_weights.h).
std::unique_ptr<ModelSource> make_card_model(const std::string& shape, Mix mix, uint32_t seed);

}  // namespace potluck
