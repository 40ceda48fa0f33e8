// A published checkpoint's folder as a ModelSource.
#pragma once

#include <memory>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

// The folder holds config.json, model.safetensors or model.safetensors.index.json, and
// tokenizer.json.
std::unique_ptr<ModelSource> open_safetensors(const std::string& folder);

}  // namespace potluck
