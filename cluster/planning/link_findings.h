// Says of one direction between two hosts what stands in its way, and exactly what mends that.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/planning/finding.h"
#include "cluster/planning/reach.h"
#include "topology/cluster/cluster_spec.h"

namespace potluck {

// A link that needs longer for a canvas is slow: as much as some layers of the released model take
// on a card. 100 Mbit/s need 118 ms, 1 Gbit/s 13.
inline constexpr double kSlowMessageMs = 100;

struct Direction {
  const ClusterSpec& cluster;
  const HostSpec& from;
  const HostSpec& to;
  const nlohmann::ordered_json& from_report;  // host_report()'s
  const nlohmann::ordered_json& to_report;
  int port = 0;  // at which `to` was called
  Reached reached;
  bool other_way = false;  // `from` is reached by `to`
};

std::vector<Finding> link_findings(const Direction& direction);

// The interface of a report that has an address; empty if none has.
nlohmann::ordered_json interface_with(const nlohmann::ordered_json& report,
                                      const std::string& address);

}  // namespace potluck
