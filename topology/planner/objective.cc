// Chooses the planner and the time that it makes the least of.
#include "topology/planner/objective.h"

namespace potluck {

PlanAnswer Objective::best(const PlanProblem& problem, const PlannerOptions& options) const {
  return throughput ? plan_throughput(problem, options) : plan_latency(problem, options);
}

double Objective::ms(const PlanProblem& problem, const Placement& placement) const {
  return throughput ? period_ms(problem, placement) : step_ms(problem, placement);
}

Objective objective_of(const ClusterSpec& cluster) {
  return {cluster.options.objective == "throughput"};
}

}  // namespace potluck
