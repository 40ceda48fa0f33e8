// A cluster's report as lines for people.
#pragma once

#include <string>
#include <vector>

#include "cluster/planning/cluster_check.h"

namespace potluck {

// The hosts, the links, and what was found.
std::vector<std::string> cluster_lines(const ClusterSpec& cluster, const ClusterReport& report);

}  // namespace potluck
