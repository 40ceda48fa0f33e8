// Whether a cluster makes sense as a whole: names that others refer to, one machine that is this
// one, a head that may see text, addresses that can be reached.
#pragma once

#include "topology/cluster/cluster_spec.h"

namespace potluck {

// Throws Fault{input}, where = "FILE:LINE" of the host, device or link.
void validate(const ClusterSpec& cluster);

// Hosts and devices by their names, and a link by its ends; nullptr: there is none.
const HostSpec* find_host(const ClusterSpec& cluster, const std::string& name);
const DeviceSpec* find_device(const ClusterSpec& cluster, const std::string& name);
const LinkSpec* find_link(const ClusterSpec& cluster, const std::string& from,
                          const std::string& to);

// `did you mean "desk"?` of the names that there are.
std::string host_suggestion(const ClusterSpec& cluster, const std::string& name);
std::string device_suggestion(const ClusterSpec& cluster, const std::string& name);

}  // namespace potluck
