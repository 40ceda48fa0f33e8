// Partitioner: decides how many consecutive layers each stage of a ring runs. What it knows of the
// machines (how many, how large, how fast) comes by its constructor; make_plan()
// (cluster/ring/ring_plan.h) calls it. Times that a ring took are in RequestResult::last_hops.
#pragma once

#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

class Partitioner {
 public:
  virtual ~Partitioner() = default;
  // The layers of each stage in ring order, together all of the model's; 0 for a stage that the
  // ring can do without. Throws Fault{input | memory} if that cannot be.
  virtual std::vector<int> layer_counts(const ModelSource& source) const = 0;
};

}  // namespace potluck
