// Where the workers of a plan listen: a plan for devices of a cluster becomes one that its
// coordinator can run from a file.
#pragma once

#include <string>
#include <vector>

#include "topology/cluster/cluster_spec.h"
#include "topology/plan/plan.h"

namespace potluck {

inline constexpr int kPortDefault = 7000;  // the first of a host that names no ports

// The host of a worker that is named as its device, or "DEVICE-head"; CHECKs that there is one.
const HostSpec& host_of(const ClusterSpec& cluster, const WorkerPlan& worker);
// The host on which the coordinator runs.
bool coordinates(const ClusterSpec& cluster, const HostSpec& host);

// Workers beside the coordinator get "start: here"; those of other hosts an address, a port of
// theirs, and the key. Throws Fault{input} at a host that has no address.
void set_endpoints(Plan& plan, const ClusterSpec& cluster);

// The hosts of the plan's workers, beside the coordinator's, whose keys the cluster does not have.
std::vector<std::string> hosts_without_key(const Plan& plan, const ClusterSpec& cluster);

}  // namespace potluck
