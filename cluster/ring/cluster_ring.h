// ClusterRing: a ring over the machines of a cluster file: who runs what, and how each worker comes
// to be there.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cluster/ring/worker_host.h"
#include "topology/cluster/cluster_spec.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"

namespace potluck {

// Opens the model that a flag has named or, where that is empty, the one that the file names; what
// is wrong with the file's is said of its line.
std::unique_ptr<ModelSource> open_model_of(const ClusterSpec& cluster, const std::string& flag,
                                           const ModelPlaces& places);

struct ClusterRing {
  std::shared_ptr<const ClusterSpec> cluster;
  Plan plan;
  std::map<std::string, RemotePlace> remote;  // workers that other hosts may have, by name
  std::map<std::string, std::string> yields;  // when workers yield, by name
  std::pair<int, int> ports;                  // that this machine may listen at; 0: any
  std::optional<double> step_ms;              // predicted; none for a plan that was given
};

// Has a planner decide, or takes a plan from a file, whose workers are then named as the cluster's
// devices are, as those of `potluck plan --emit`. Throws Fault{input}: the cluster lacks a figure
// that the planner needs, the coordinator is another machine, or the plan is none for the cluster;
// Fault{memory} if nothing fits.
ClusterRing cluster_ring(const ClusterSpec& cluster, const ModelSource& source,
                         const std::string& plan_file);

}  // namespace potluck
