// The next placement of a ring that runs, by a planner. Devices that were lost take no part any
// more; and while none was lost, a better placement has to be worth what moving to it takes.
#pragma once

#include <optional>
#include <vector>

#include "topology/planner/objective.h"
#include "topology/planner/placement.h"

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

struct ReplanAsk {
  std::vector<int> lost;  // devices
  MovingRates rates;
  double steps_left = 0;  // that the ring is expected to run
  PlannerOptions options;
  Objective objective;
};

struct NextPlacement {
  std::optional<Placement> placement;  // none: stay, or nothing fits
  bool fits = false;                   // there is a placement at all
  double ms = 0, ms_before = 0;        // the objective's
  double moving_ms = 0;
  bool proven = false;
};

// The best placement for what is left. If nothing of `running` was lost, then only one that pays
// within steps_left, and by as much as move_pays() asks.
NextPlacement replan(const PlanProblem& problem, const Placement& running, const ReplanAsk& ask);

}  // namespace potluck
