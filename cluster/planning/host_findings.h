// Says of the hosts of a cluster what does not go together: versions, keys, models, clocks.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "cluster/planning/finding.h"
#include "topology/cluster/cluster_spec.h"

namespace potluck {

inline constexpr double kSkewSeconds = 1;

// How much a host's clock is ahead of this machine's, give or take `within`.
struct Skew {
  double seconds = 0, within = 0;
};

struct HostSeen {
  const HostSpec& spec;
  const nlohmann::ordered_json& report;  // host_report()'s
  Skew skew;
};

std::vector<Finding> host_findings(const ClusterSpec& cluster, const std::vector<HostSeen>& hosts);

}  // namespace potluck
