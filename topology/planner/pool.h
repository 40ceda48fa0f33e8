// Pool: several rings side by side, none of which shares a device with another. A model has only so
// many layers, so more machines than that pay only this way.
#pragma once

#include <vector>

#include "topology/planner/placement.h"
#include "topology/planner/planner.h"

namespace potluck {

inline constexpr int kPoolStagesMax = 30;  // of one of the rings

struct PoolAnswer {
  std::vector<Placement> rings;
  double steps_per_s = 0;  // of all rings, with enough canvases in flight
  double bound_per_s = 0;  // nothing reaches more
  double gap() const { return rings.empty() ? 0 : 1 - steps_per_s / bound_per_s; }
};

// Steps a second of all rings together. Rings of devices of one host share its lines.
double pool_steps_per_s(const PlanProblem& problem, const std::vector<Placement>& rings);

// As many steps a second as it finds. The budget's nodes are devices looked at for a stage.
inline constexpr uint64_t kPoolNodes = 20'000'000;
PoolAnswer plan_pool(const PlanProblem& problem, const Budget& budget = {kPoolNodes, {}});

}  // namespace potluck
