// ClusterCheck: a doctor for each host of a cluster, and what they find about their hosts, about
// each other's clocks and models, and about the links between them.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/planning/finding.h"
#include "cluster/planning/host_doctor.h"
#include "cluster/planning/reach.h"
#include "topology/cluster/cluster_spec.h"
#include "topology/model/locator.h"

namespace potluck {

struct CheckOptions {
  std::string program;  // this potluck
  std::string ssh;      // what reaches other hosts; empty: ssh
  std::string model;    // in place of the cluster's; empty: the cluster's
  ModelPlaces places;   // of this machine's models
  bool fresh = false;
  std::function<void(const std::string& line)> say;  // gets a line when something long begins
};

struct CheckedLink {
  std::string from, to;
  int port = 0;
  Reached reached;
};

struct ClusterReport {
  std::vector<nlohmann::ordered_json> hosts;  // in the cluster's order; null: no doctor answered
  std::vector<CheckedLink> links;             // one direction each
  std::vector<Finding> findings;
  double seconds = 0;
};

// Asks all hosts at once; links are measured so that no host has two at a time.
ClusterReport check_cluster(const ClusterSpec& cluster, const CheckOptions& options);

nlohmann::ordered_json cluster_json(const ClusterSpec& cluster, const ClusterReport& report);

// Puts what was measured into the cluster, but where somebody has stated a figure.
void take_measured(const ClusterReport& report, ClusterSpec& cluster);

}  // namespace potluck
