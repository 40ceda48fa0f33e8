// Tries every placement of a small problem, in the plainest way, and shares no code with planners.
#pragma once

#include <limits>
#include <utility>
#include <vector>

#include "topology/planner/problem.h"

namespace potluck {

struct Least {
  double step_ms = std::numeric_limits<double>::infinity();
  double period_ms = std::numeric_limits<double>::infinity();
  uint64_t placements = 0;  // that fit
  // (period, step) of those of which no other has both as short.
  std::vector<std::pair<double, double>> front;
};

Least enumerate(const PlanProblem& problem);

}  // namespace potluck
