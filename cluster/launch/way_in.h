// Finds the coordinator of a cluster by its key: at the addresses where it was, or is said to be,
// and where somebody in the network advertises that key. Only its owner can answer there.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/membership/joined_cluster.h"
#include "topology/base/clock.h"
#include "transport/control/control_client.h"
#include "transport/mdns/mdns.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {

struct Door {
  std::string address;
  std::unique_ptr<ControlClient> client;
};

using FindClusters = std::function<std::vector<FoundCluster>(Duration patience)>;

class WayIn final {
 public:
  WayIn(LockKeys keys, FindClusters find) : keys_(std::move(keys)), find_(std::move(find)) {}

  // Where the cluster's coordinator answers; none, and `why_not` says what each place said.
  std::optional<Door> knock(const JoinedCluster& cluster, std::string& why_not) const;

 private:
  std::optional<Door> first_to_answer(const std::string& key,
                                      const std::vector<std::string>& places,
                                      std::string& why_not) const;

  const LockKeys keys_;
  const FindClusters find_;
};

// Those that the network advertises, one for each key, with all its addresses.
std::vector<JoinedCluster> clusters_of(const std::vector<FoundCluster>& found);

}  // namespace potluck
