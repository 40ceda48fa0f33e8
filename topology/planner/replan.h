// Replan: the next placement of a ring that runs. Devices that were lost take no part any more; and
// while none was lost, a better placement has to be worth what moving to it takes.
#pragma once

#include <optional>
#include <vector>

#include "topology/planner/placement.h"
#include "topology/planner/planner.h"

namespace potluck {

// The rates at which a device gets its part, and what has to be done again.
struct MovingRates {
  double fetch_mb_per_s = 0;    // from a peer or the hub; 0: each device has the whole model
  double load_mb_per_s = 1000;  // from its disk into its memory
  int encode_chunks = 0;        // of what all sessions hold, which is encoded again
};

// The ms for which the ring stands still: the slowest device's fetching and loading of what it does
// not have, side by side, and the encode. A device whose range grows keeps what it has.
double moving_ms(const PlanProblem& problem, const Placement& from, const Placement& to,
                 const MovingRates& rates);

// A ring that runs is left as it is unless its step becomes this share of what it is, or less.
inline constexpr double kWorthMoving = 0.75;

struct ReplanAsk {
  std::vector<int> lost;  // devices
  MovingRates rates;
  double steps_left = 0;  // that the ring is expected to run
  PlannerOptions options;
};

struct Replan {
  std::optional<Placement> placement;  // none: stay; or if a device was lost, nothing fits
  double step_ms = 0, step_ms_before = 0;
  double moving_ms = 0;
  bool proven = false;
};

// The placement of the least step for what is left. If nothing of `running` was lost, then only
// one that pays within steps_left, by at least kWorthMoving.
Replan replan(const PlanProblem& problem, const Placement& running, const ReplanAsk& ask);

}  // namespace potluck
