// Where the workers of a plan listen: a plan for devices of a cluster becomes one that its
// coordinator can run from a file.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "topology/cluster/cluster_spec.h"
#include "topology/plan/plan.h"

namespace potluck {

inline constexpr int kPortDefault = 7000;  // the first of a host that names no ports

// Behind a device's name: a head that shares its device with a stage.
inline constexpr std::string_view kHeadSuffix = "-head";

// The names that workers of a device may have: as a stage, and as the head beside one.
std::array<std::string, 2> worker_names(const DeviceSpec& device);
// The device and the host of a worker that is named as its device, or "DEVICE-head"; null if the
// cluster has none of that name.
const DeviceSpec* device_for(const ClusterSpec& cluster, const std::string& worker);
const HostSpec* host_for(const ClusterSpec& cluster, const std::string& worker);
// Whether a worker may see prompts and answers. Whoever is no device of the cluster may not.
bool may_be_head(const ClusterSpec& cluster, const std::string& worker);
// CHECKs that there is one.
const HostSpec& host_of(const ClusterSpec& cluster, const WorkerPlan& worker);
// The host on which the coordinator runs.
bool coordinates(const ClusterSpec& cluster, const HostSpec& host);

// Workers beside the coordinator get "start: here"; those of other hosts an address, a port of
// theirs, and the key. Workers that are `there` already, and known by their names, stay where they
// are, and none of their ports is given to others. Throws Fault{input} at a host that has no
// address, or no port left. Who may become the head later is set too.
void set_endpoints(Plan& plan, const ClusterSpec& cluster,
                   const std::vector<WorkerPlan>& there = {});

// The hosts of the plan's workers, beside the coordinator's, whose keys the cluster does not have.
std::vector<std::string> hosts_without_key(const Plan& plan, const ClusterSpec& cluster);

}  // namespace potluck
