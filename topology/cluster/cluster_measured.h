// The section of a cluster file that doctor writes and nobody edits:
//
//   measured:
//     devices:
//       - {name: desk, device: cuda:0, memory: 11GiB, sliding_layer: 2.1ms, full_layer: 2.4ms,
//          head: 9ms, message: 0.1ms, model: DIGEST}         # on one line
//     links:                          # one direction each
//       - {from: desk, to: nas, latency: 0.31ms, bandwidth: 941mbit}
//
// Rows of hosts and devices that the file no longer has are passed over.
#pragma once

#include <string>

#include "topology/cluster/cluster_spec.h"
#include "topology/plan/plan_yaml_tree.h"

namespace potluck {

// Fills in what nobody has stated. Throws Fault{input}, where = "FILE:LINE".
void add_measured(const YamlNode& section, ClusterSpec& cluster);

// Replaces the section by the figures of `cluster` whose source is `measured`; every other byte of
// the file stays. It is written beside the file, and takes its place whole. Throws Fault{input} if
// the file is not as read_cluster takes it, Fault{world} if it cannot be written.
void write_measured(const std::string& path, const ClusterSpec& cluster);

}  // namespace potluck
