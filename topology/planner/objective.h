// Objective: what a plan for a cluster makes the best of.
#pragma once

#include "topology/cluster/cluster_spec.h"
#include "topology/planner/planner.h"

namespace potluck {

// A plan makes the least of the time of a step, or of the time after which the next one ends where
// enough canvases are in flight.
struct Objective {
  bool throughput = false;
  PlanAnswer best(const PlanProblem& problem, const PlannerOptions& options = {}) const;
  double ms(const PlanProblem& problem, const Placement& placement) const;
};

// The one that the cluster file names.
Objective objective_of(const ClusterSpec& cluster);

}  // namespace potluck
