// Plans a cluster for one number of canvases in flight after the other.
#include "topology/planner/cluster_plan.h"

#include <algorithm>

#include "topology/plan/step_time.h"

namespace potluck {
namespace {

ClusterPlan best_plan(const ClusterSpec& cluster, const ModelSource& source,
                      const Objective& objective) {
  ClusterPlan plan{cluster, make_problem(cluster, source, {}), {}};
  plan.answer = objective.best(plan.problem);
  return plan;
}

// All canvases in flight count; fewer than fill the ring leave devices idle.
double ms_between_steps(const ClusterPlan& plan) {
  const Placement& placement = *plan.answer.placement;
  return std::max(period_ms(plan.problem, placement),
                  step_ms(plan.problem, placement) / plan.problem.frame.sessions);
}

int canvases_that_fill(const ClusterPlan& plan) {
  const Placement& placement = *plan.answer.placement;
  return canvases_to_fill(step_ms(plan.problem, placement), period_ms(plan.problem, placement));
}

}  // namespace

// Each canvas takes KV on every device, which may leave too little room for the layers of the
// fastest.
ClusterPlan plan_cluster(const ClusterSpec& cluster, const ModelSource& source,
                         const Objective& objective) {
  ClusterPlan best = best_plan(cluster, source, objective);
  if (!objective.throughput || !best.answer.placement) return best;
  const int most = std::min(canvases_that_fill(best), kCanvasesAtOnceMax);
  for (int canvases = best.problem.frame.sessions + 1; canvases <= most; ++canvases) {
    ClusterSpec busier = cluster;
    busier.options.canvases = canvases;
    ClusterPlan plan = best_plan(busier, source, objective);
    if (plan.answer.placement && ms_between_steps(plan) < ms_between_steps(best))
      best = std::move(plan);
  }
  return best;
}

}  // namespace potluck
