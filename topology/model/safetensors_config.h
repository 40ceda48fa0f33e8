// config.json and generation_config.json of a published checkpoint (shard/MODEL.md §1).
#pragma once

#include <string>

#include "topology/model/model_spec.h"

namespace potluck {

// The spec of the model in `folder`, validated; has_v is true for every layer, as only the tensors
// tell. Throws Fault{input} naming file and key.
ModelSpec read_config(const std::string& folder);

}  // namespace potluck
