// Made-up models of any shape, for benches and simulations:
// `synthetic:PRESET?layers=3&vocab=32768&type=q8_0&expert_type=iq2_s&head_type=q6_k&seed=1`.
#pragma once

#include <memory>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

// text stands behind "synthetic:". Throws Fault{input} naming unknown presets and keys.
std::unique_ptr<ModelSource> make_synthetic(const std::string& text);

// The model's twin, with its shapes and types and with made-up bytes, to measure what it takes
// where its own are not. Types that are never made up are zeros.
std::unique_ptr<ModelSource> make_twin(const ModelSource& model);
// The same where the model is not: from what shapes_text() says of it, which is JSON. Throws
// Fault{input} for what is no such text.
std::unique_ptr<ModelSource> make_twin(const std::string& shapes);
std::string shapes_text(const ModelSource& model);

}  // namespace potluck
