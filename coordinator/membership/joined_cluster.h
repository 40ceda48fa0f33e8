// The cluster that this machine belongs to, so that it finds its way back after a reboot without a
// token, also when the coordinator's address is another one by then.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/membership/private_file.h"

namespace potluck {

struct JoinedCluster {
  std::string key;                     // the coordinator's public key
  std::vector<std::string> addresses;  // of its control channel, where it was last first
};

inline constexpr size_t kJoinedAddressesMax = 8;

std::string text_of(const JoinedCluster& cluster);  // JSON
// Throws Fault{input} for a text that is damaged.
JoinedCluster joined_cluster_of(const std::string& text, const std::string& path);

// Says that it was seen at this address, which comes first from now on.
JoinedCluster seen_at(JoinedCluster cluster, const std::string& address);

// Where it lies: in the state folder of whoever joins.
PrivateFile joined_cluster_file(const std::string& state_folder);

}  // namespace potluck
