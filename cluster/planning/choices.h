// A plan is compared here with what else its cluster could do: the placements that it was chosen
// over, and those of a faster network or of more canvases in flight.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "topology/cluster/cluster_spec.h"
#include "topology/model/model_source.h"
#include "topology/planner/objective.h"

namespace potluck {

struct Choice {
  std::string name;          // "even", "desk alone", "head on nas"
  std::optional<double> ms;  // the objective's; none: there is no such placement
  std::string why;           // compared with the plan, or why there is none
};

// Layers that the devices of a problem have room for, beside the head on the best of them.
int layers_with_room(const PlanProblem& problem);

// A plan, and what it was made of.
struct Planned {
  const ClusterSpec& cluster;
  const ModelSource& source;
  const PlanProblem& problem;
  const Placement& placement;
  Objective objective;
};

// Each host by itself, the best first.
std::vector<Choice> hosts_alone(const Planned& plan);
// The plain rules, and the best placements with the head on another device.
std::vector<Choice> rejected(const Planned& plan);
// The best ring if the slowest links were one class faster (1 → 2.5 → 10 Gbit/s); and for a plan of
// one canvas, what several in flight make of the cluster.
std::vector<Choice> improved(const Planned& plan);

// Devices that could hold layers and take no part, and why.
std::vector<std::string> left_out(const Planned& plan);

}  // namespace potluck
