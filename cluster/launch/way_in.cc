// Calls all places at once and keeps the first that answers.
#include "cluster/launch/way_in.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/membership/guest_verbs.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

constexpr double kAnswerSeconds = 4, kBrowseSeconds = 2;
constexpr double kPreferSeconds = 0.25;  // that the place which answered last may be slower
constexpr std::chrono::milliseconds kLook(10);

// The first place is the one that worked last: to come back elsewhere would start workers anew.
size_t preferred(const std::vector<Door>& doors, size_t answered) {
  if (answered == 0) return answered;
  try {
    return doors[0].client->wait(now() + from_seconds(kPreferSeconds)) ? 0 : answered;
  } catch (const Fault&) {
    return answered;
  }
}

}  // namespace

std::vector<JoinedCluster> clusters_of(const std::vector<FoundCluster>& found) {
  std::vector<JoinedCluster> clusters;
  for (const FoundCluster& each : found) {
    const auto known = std::find_if(
        clusters.begin(), clusters.end(),
        [&](const JoinedCluster& cluster) { return cluster.key == each.said.cluster_key; });
    if (known == clusters.end())
      clusters.push_back({each.said.cluster_key, {each.address}});
    else
      known->addresses.push_back(each.address);
  }
  return clusters;
}

std::optional<Door> WayIn::first_to_answer(const std::string& key,
                                           const std::vector<std::string>& places,
                                           std::string& why_not) const {
  std::vector<Door> doors;
  for (const std::string& place : places) {
    doors.push_back({place, std::make_unique<ControlClient>(Address("tcp://" + place, key),
                                                            [keys = keys_] { return keys; })});
    doors.back().client->call(kHelloVerb, nlohmann::json::object());
  }
  const Time deadline = now() + from_seconds(kAnswerSeconds);
  while (!doors.empty() && now() < deadline)
    for (size_t i = 0; i < doors.size(); ++i) try {
        if (doors[i].client->wait(now() + kLook)) return std::move(doors[preferred(doors, i)]);
      } catch (const Fault& fault) {
        add_to_list(why_not, fault.what());
        doors.erase(doors.begin() + static_cast<std::ptrdiff_t>(i--));
      }
  for (const Door& door : doors) add_to_list(why_not, "no answer from " + door.address);
  return std::nullopt;
}

std::optional<Door> WayIn::knock(const JoinedCluster& cluster, std::string& why_not) const {
  if (auto door = first_to_answer(cluster.key, cluster.addresses, why_not)) return door;
  std::vector<std::string> others;
  for (const JoinedCluster& each : clusters_of(find_(from_seconds(kBrowseSeconds))))
    if (each.key == cluster.key) others = each.addresses;
  return first_to_answer(cluster.key, others, why_not);
}

}  // namespace potluck
