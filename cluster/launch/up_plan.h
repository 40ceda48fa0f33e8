// `up` decides these things before it starts anything.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster/cli/commands.h"
#include "cluster/launch/up_flags.h"
#include "cluster/ring/cluster_ring.h"
#include "topology/model/model_source.h"

namespace potluck {

struct UpPlan {
  std::shared_ptr<const ModelSource> source;
  std::string model;
  ClusterRing ring;
  HostSetup hosts;
  bool waits = false;  // the model does not fit this machine, so there is no plan yet
};

// Opens the model, and takes the plan from the cluster file or makes one for this machine. Asks
// drivers of cards, whose answers no process survives that is forked later. Throws Fault.
UpPlan up_plan(const UpFlags& flags, const CommandLine& line,
               const std::function<void(const std::string& line)>& say);

}  // namespace potluck
