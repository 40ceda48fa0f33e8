// config.json and generation_config.json of a published checkpoint (shard/MODEL.md §1).
#pragma once

#include <string>
#include <vector>

#include "topology/model/model_spec.h"

namespace potluck {

struct CheckpointConfig {
  ModelSpec spec;    // validated; has_v is true for every layer, as only the tensors tell
  bool tied = true;  // head and encoder have no tensors of their own
  std::vector<std::string> notes;
};

// Reads the JSON files of the checkpoint in `folder`, every key held to what potluck computes.
// Absent keys have transformers' defaults. Throws Fault{input} naming file and key.
CheckpointConfig read_config(const std::string& folder);

}  // namespace potluck
