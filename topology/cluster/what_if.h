// Changes to a cluster that somebody thinks of buying or losing, in a few words:
//
//   add 3090@desk                  a known card, or several: add 2x3090@desk
//   link desk-nas 2.5gbit          both directions
//   link desk-nas 2.5gbit 0.1ms    with another latency
//   remove nas                     a host, or a device
#pragma once

#include <string>
#include <vector>

#include "topology/cluster/cluster_spec.h"

namespace potluck {

// Throws Fault{input} for anything else, and for names that the cluster does not have.
void apply_what_if(ClusterSpec& cluster, const std::string& words);
// One after the other; refuses what is given twice.
void apply_what_ifs(ClusterSpec& cluster, const std::vector<std::string>& changes);

}  // namespace potluck
