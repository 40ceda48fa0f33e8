// ClusterPlan: who would run what on a cluster, with as many canvases in flight as pay.
#pragma once

#include "topology/planner/objective.h"
#include "topology/planner/problem.h"

namespace potluck {

inline constexpr int kCanvasesAtOnceMax = 8;  // more gain little, and each takes KV everywhere

struct ClusterPlan {
  ClusterSpec cluster;  // with the canvases in flight that this plan has room for
  PlanProblem problem;
  PlanAnswer answer;  // without a placement, the model does not fit
};

// The best plan for the canvases that the cluster file asks for. Where throughput is the objective,
// more are planned for if the ring then steps more often, up to kCanvasesAtOnceMax.
ClusterPlan plan_cluster(const ClusterSpec& cluster, const ModelSource& source,
                         const Objective& objective);

}  // namespace potluck
