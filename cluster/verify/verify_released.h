// Compares a real checkpoint with the logits that transformers' own test records for it
// (shard/MODEL.md §12.2): a thinking-off prompt of 20 ids, the canvas 0, 1, …, 255, no
// self-conditioning.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

// {"passed", "max_abs", "mean_abs", "rows", "ids", "worst": {"row", "id", "ours", "published"}}.
// The published figures are bf16 of one accelerator: another differs by up to about 1 between −10
// and 10, and quantised weights by more; so the mean decides (kMeanAbsMax). Throws Fault{input} for
// a model that is not the released one.
nlohmann::json verify_released(const ModelSource& source, const std::string& device, int threads);

}  // namespace potluck
