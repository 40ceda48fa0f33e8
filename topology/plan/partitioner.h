// Partitioner: decides how many consecutive layers each stage of a ring runs.
#pragma once

#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

class Partitioner {
 public:
  virtual ~Partitioner() = default;
  // The layers of each stage in ring order: at least one each, together all of the model's. Throws
  // Fault{input} if that cannot be.
  virtual std::vector<int> layer_counts(const ModelSource& source) const = 0;
};

}  // namespace potluck
