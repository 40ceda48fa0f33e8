// The planners: who runs which layers. Each answer says whether nothing better exists, or how much
// better something could be at most.
//
// Exact search goes over sequences of devices that start and end at the head, with the best cuts of
// the layers for each (search.h). It begins with what a local search found from the two plain rules
// (baselines.h), so an answer is never worse than theirs, however early the budget ends.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "topology/base/clock.h"
#include "topology/planner/placement.h"
#include "topology/planner/problem.h"

namespace potluck {

// A search ends after so many places looked at, and asks the clock too where `time` is given. An
// answer depends on the problem and the number of places alone unless the clock ends it.
struct Budget {
  uint64_t nodes = 1'500'000;  // about a second
  std::optional<Duration> time;
};

struct PlanAnswer {
  std::optional<Placement> placement;  // none: nothing fits, or nothing was found
  double objective_ms = 0;             // step or period of the placement
  double bound_ms = 0;                 // nothing is better than this
  bool proven = false;                 // nothing is better than the placement
  uint64_t nodes = 0;
  // How much of objective_ms may be saved at most: 0 to 1.
  double gap() const { return proven ? 0 : 1 - bound_ms / objective_ms; }
};

struct PlannerOptions {
  Budget budget;
  bool warm_start = true;  // a local search gives the exact one something to beat
};

// The least step_ms: one canvas in flight.
PlanAnswer plan_latency(const PlanProblem& problem, const PlannerOptions& options = {});

// The least period_ms, and of the rings that have it one with the least step_ms that was found.
PlanAnswer plan_throughput(const PlanProblem& problem, const PlannerOptions& options = {});

struct ParetoPoint {
  Placement placement;
  double step_ms = 0, period_ms = 0;
  bool proven = false;  // no ring with this period or less has a shorter step
};

// A longer step buys a shorter period. From the least step on, each point's period is at least
// kFrontStep of it shorter than that of the one before. The budget is for all of them.
inline constexpr double kFrontStep = 0.02;
std::vector<ParetoPoint> plan_pareto(const PlanProblem& problem,
                                     const PlannerOptions& options = {});

}  // namespace potluck
