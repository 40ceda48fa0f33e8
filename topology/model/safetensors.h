// A published checkpoint's folder as a ModelSource.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

// The folder holds config.json, model.safetensors or model.safetensors.index.json, and
// tokenizer.json. notes: lines for ModelSource::notes() that say how it was found.
std::unique_ptr<ModelSource> open_safetensors(const std::string& folder,
                                              std::vector<std::string> notes = {});

}  // namespace potluck
