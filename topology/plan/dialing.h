// Who dials whom in a plan: each worker the next one in the ring. What a worker is told of that,
// and what people are told when it fails.
//
// A plan may come from anybody, and its endpoints may be anything: so a worker that does not reach
// the next one says so in a sentence that has nothing but what the plan has, and keeps to itself
// how it failed. Whoever has written the plan knows that sentence, and adds what the plan lets it.
#pragma once

#include <optional>
#include <string>

#include "topology/base/fault.h"
#include "topology/plan/plan.h"

namespace potluck {

// Whether a worker is on the machine of whoever has the plan.
bool is_here(const WorkerPlan& worker);

// The plan as worker `you` is to have it: with no other keys than its own and its neighbours'; and
// on another machine, the next worker's endpoint is without a zone, which would name an interface
// of this machine.
Plan plan_for(const Plan& plan, PeerId you);

// A worker says this of the next one when no link with it has come about.
std::string not_reached_text(const WorkerPlan& next);

// A worker says this of a neighbour whose link went down.
std::string lost_text(const WorkerPlan& neighbour, const std::string& reason);

// The neighbour that worker `from` reports as lost or not reached; none: its fault is another.
std::optional<PeerId> lost_neighbour(const Fault& fault, const Plan& plan, PeerId from);

// The fault that worker `from` reports: if it says that the next one was not reached, then with the
// machines, the address and the port to open. Any other as it is.
Fault explained(const Fault& fault, const Plan& plan, PeerId from);

}  // namespace potluck
