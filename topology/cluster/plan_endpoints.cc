// Gives workers their endpoints and keys by the hosts that they are on.
#include "topology/cluster/plan_endpoints.h"

#include <algorithm>
#include <map>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr std::string_view kHeadSuffix = "-head";

const HostSpec* host_with(const ClusterSpec& cluster, const std::string& device) {
  for (const HostSpec& host : cluster.hosts)
    for (const DeviceSpec& one : host.devices)
      if (one.name == device) return &host;
  return nullptr;
}

int next_port(const HostSpec& host, std::map<std::string, int>& used) {
  const int first = host.port_first ? host.port_first : kPortDefault;
  return first + used[host.name]++;
}

void place(WorkerPlan& worker, const ClusterSpec& cluster, std::map<std::string, int>& used) {
  const HostSpec& host = host_of(cluster, worker);
  worker.local = coordinates(cluster, host);
  if (worker.local) {
    if (host.port_first) worker.endpoint = "tcp://*:" + std::to_string(next_port(host, used));
    return;
  }
  if (host.addresses.empty())
    throw Fault(FaultKind::input, "\"" + host.name + "\" has no \"addresses\"",
                Fix{"say where the others reach it: addresses: [10.0.0.4]"},
                cluster.file + ":" + std::to_string(host.line));
  worker.endpoint = "tcp://" + host.addresses.front() + ":" + std::to_string(next_port(host, used));
  worker.key = host.key;
}

}  // namespace

const HostSpec& host_of(const ClusterSpec& cluster, const WorkerPlan& worker) {
  const HostSpec* host = host_with(cluster, worker.name);
  if (!host && worker.name.ends_with(kHeadSuffix))
    host = host_with(cluster, worker.name.substr(0, worker.name.size() - kHeadSuffix.size()));
  CHECK(host != nullptr, worker.name);
  return *host;
}

bool coordinates(const ClusterSpec& cluster, const HostSpec& host) {
  return cluster.coordinator.empty() ? host.ssh.empty() : cluster.coordinator == host.name;
}

void set_endpoints(Plan& plan, const ClusterSpec& cluster) {
  std::map<std::string, int> used;
  place(plan.head, cluster, used);
  for (WorkerPlan& stage : plan.stages) place(stage, cluster, used);
}

std::vector<std::string> hosts_without_key(const Plan& plan, const ClusterSpec& cluster) {
  std::vector<std::string> lacking;
  for (PeerId peer = kHeadPeer; peer < stage_peer(plan.stage_count()); ++peer) {
    const WorkerPlan& worker = plan.worker(peer);
    const std::string& name = host_of(cluster, worker).name;
    if (worker.local || !worker.key.empty()) continue;
    if (std::find(lacking.begin(), lacking.end(), name) == lacking.end()) lacking.push_back(name);
  }
  return lacking;
}

}  // namespace potluck
