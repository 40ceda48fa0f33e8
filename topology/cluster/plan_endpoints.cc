// Gives workers their endpoints and keys by the hosts that they are on.
#include "topology/cluster/plan_endpoints.h"

#include <algorithm>
#include <map>

#include "topology/base/check.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/cluster/cluster_check.h"

namespace potluck {
namespace {

std::string place_of(const ClusterSpec& cluster, int line) {
  return cluster.file + ":" + std::to_string(line);
}

// Gives out the ports of each host, but for those that are in use.
class Ports {
 public:
  explicit Ports(const std::vector<WorkerPlan>& there) : there_(there) {}

  int next(const ClusterSpec& cluster, const HostSpec& host) {
    const int first = host.port_first ? host.port_first : kPortDefault;
    int port = first + given_[host.name]++;
    while (is_used(cluster, host, port)) port = first + given_[host.name]++;
    if (host.port_last && port > host.port_last)
      throw Fault(FaultKind::input, "\"" + host.name + "\" has no port left for another worker",
                  Fix{"write more of them: ports: 7000-7010"}, place_of(cluster, host.ports_line));
    return port;
  }

 private:
  bool is_used(const ClusterSpec& cluster, const HostSpec& host, int port) const {
    return std::any_of(there_.begin(), there_.end(), [&](const WorkerPlan& worker) {
      const auto endpoint = parse_endpoint(worker.endpoint);
      return endpoint && endpoint->port == port && host_for(cluster, worker.name) == &host;
    });
  }

  const std::vector<WorkerPlan>& there_;
  std::map<std::string, int> given_;  // by host
};

void place(WorkerPlan& worker, const ClusterSpec& cluster, Ports& ports) {
  const HostSpec& host = host_of(cluster, worker);
  worker.local = coordinates(cluster, host);
  if (worker.local) {
    if (host.port_first) worker.endpoint = "tcp://*:" + std::to_string(ports.next(cluster, host));
    return;
  }
  if (host.addresses.empty())
    throw Fault(FaultKind::input, "\"" + host.name + "\" has no \"addresses\"",
                Fix{"say where the others reach it: addresses: [10.0.0.4]"},
                place_of(cluster, host.line));
  worker.endpoint =
      "tcp://" + host.addresses.front() + ":" + std::to_string(ports.next(cluster, host));
  worker.key = host.key;
}

}  // namespace

std::array<std::string, 2> worker_names(const DeviceSpec& device) {
  return {device.name, device.name + std::string(kHeadSuffix)};
}

const DeviceSpec* device_for(const ClusterSpec& cluster, const std::string& worker) {
  const DeviceSpec* device = find_device(cluster, worker);
  if (device || !worker.ends_with(kHeadSuffix)) return device;
  return find_device(cluster, worker.substr(0, worker.size() - kHeadSuffix.size()));
}

const HostSpec* host_for(const ClusterSpec& cluster, const std::string& worker) {
  const DeviceSpec* device = device_for(cluster, worker);
  for (const HostSpec& host : cluster.hosts)
    for (const DeviceSpec& one : host.devices)
      if (&one == device) return &host;
  return nullptr;
}

bool may_be_head(const ClusterSpec& cluster, const std::string& worker) {
  const DeviceSpec* device = device_for(cluster, worker);
  const HostSpec* host = host_for(cluster, worker);
  return device && host && device->may_be_head && host->trusted;
}

const HostSpec& host_of(const ClusterSpec& cluster, const WorkerPlan& worker) {
  const HostSpec* host = host_for(cluster, worker.name);
  CHECK(host != nullptr, worker.name);
  return *host;
}

bool coordinates(const ClusterSpec& cluster, const HostSpec& host) {
  return cluster.coordinator.empty() ? host.ssh.empty() : cluster.coordinator == host.name;
}

void set_endpoints(Plan& plan, const ClusterSpec& cluster, const std::vector<WorkerPlan>& there) {
  Ports ports(there);
  const auto set = [&](WorkerPlan& worker) {
    worker.may_be_head = may_be_head(cluster, worker.name);
    const auto is_it = [&](const WorkerPlan& each) { return each.name == worker.name; };
    const auto found = std::find_if(there.begin(), there.end(), is_it);
    if (found == there.end()) return place(worker, cluster, ports);
    worker.endpoint = found->endpoint;
    worker.key = found->key;
    worker.local = found->local;
  };
  set(plan.head);
  for (WorkerPlan& stage : plan.stages) set(stage);
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
