// Two plain rules, by which planners are judged and from which they begin. Neither looks at speeds
// or links.
#pragma once

#include <optional>

#include "topology/planner/placement.h"
#include "topology/planner/problem.h"

namespace potluck {

// Both take the fewest devices that hold the model, those with the most memory, in the cluster's
// order; the head is on the one with the most memory that may have it and leaves room. Nothing if
// the rule finds no placement that fits.
//
// Stages of equal stored bytes.
std::optional<Placement> place_evenly(const PlanProblem& problem);
// Layers in proportion to memory; or if that does not fit, each device filled in turn.
std::optional<Placement> place_by_memory(const PlanProblem& problem);

}  // namespace potluck
