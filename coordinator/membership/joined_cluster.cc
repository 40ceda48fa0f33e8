// Keeps a key and the addresses at which its owner was seen.
#include "coordinator/membership/joined_cluster.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/base/key.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr int kFileVersion = 1;

[[noreturn]] void refuse_file(const std::string& path) {
  throw Fault(FaultKind::input, path + " is damaged",
              Fix{"remove it, and join again with a token: potluck token create makes one"});
}

}  // namespace

std::string text_of(const JoinedCluster& cluster) {
  return Json{{"version", kFileVersion}, {"key", cluster.key}, {"addresses", cluster.addresses}}
             .dump(1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

JoinedCluster joined_cluster_of(const std::string& text, const std::string& path) {
  try {
    const Json json = Json::parse(text);
    JoinedCluster cluster{json.at("key"), json.at("addresses")};
    if (json.at("version") != kFileVersion || !is_key(cluster.key) ||
        cluster.addresses.size() > kJoinedAddressesMax)
      refuse_file(path);
    return cluster;
  } catch (const Json::exception&) {
    refuse_file(path);
  }
}

JoinedCluster seen_at(JoinedCluster cluster, const std::string& address) {
  std::erase(cluster.addresses, address);
  cluster.addresses.insert(cluster.addresses.begin(), address);
  if (cluster.addresses.size() > kJoinedAddressesMax) cluster.addresses.resize(kJoinedAddressesMax);
  return cluster;
}

PrivateFile joined_cluster_file(const std::string& state_folder) {
  return {state_folder, "joined.json"};
}

}  // namespace potluck
