// Compares devices by their numbers, and hosts by their devices and hops.
#include "topology/planner/symmetry.h"

#include <algorithm>

namespace potluck {
namespace {

bool alike(const PlanDevice& a, const PlanDevice& b) {
  return a.layer_ms == b.layer_ms && a.message_ms == b.message_ms && a.head_ms == b.head_ms &&
         a.memory_bytes == b.memory_bytes && a.layer_bytes == b.layer_bytes &&
         a.stage_bytes == b.stage_bytes && a.head_bytes == b.head_bytes &&
         a.may_be_head == b.may_be_head && a.may_hold_layers == b.may_hold_layers;
}

bool alike(const HostHop& a, const HostHop& b) {
  return a.ms == b.ms && a.wire_ms == b.wire_ms;
}

std::vector<std::vector<int>> devices_by_host(const PlanProblem& problem) {
  std::vector<std::vector<int>> on(problem.hosts.size());
  for (size_t i = 0; i < problem.devices.size(); ++i) on[problem.devices[i].host].push_back(i);
  return on;
}

// Whether nothing changes when two hosts, device by device, change places.
class Hosts {
 public:
  explicit Hosts(const PlanProblem& problem) : problem_(problem), on_(devices_by_host(problem)) {}

  bool alike_hosts(int a, int b) const {
    return problem_.coordinator_ms[a] == problem_.coordinator_ms[b] && same_devices(a, b) &&
           same_hops(a, b);
  }

 private:
  bool same_devices(int a, int b) const {
    return std::equal(
        on_[a].begin(), on_[a].end(), on_[b].begin(), on_[b].end(),
        [&](int i, int j) { return alike(problem_.devices[i], problem_.devices[j]); });
  }
  bool same_hops(int a, int b) const {
    const auto& hops = problem_.hops;
    if (!alike(hops[a][b], hops[b][a]) || !alike(hops[a][a], hops[b][b])) return false;
    for (int i = 0; i < static_cast<int>(hops.size()); ++i)
      if (i != a && i != b && !(alike(hops[a][i], hops[b][i]) && alike(hops[i][a], hops[i][b])))
        return false;
    return true;
  }

  const PlanProblem& problem_;
  std::vector<std::vector<int>> on_;
};

}  // namespace

Symmetry::Symmetry(const PlanProblem& problem, int head)
    : problem_(problem),
      device_before_(problem.devices.size(), -1),
      host_before_(problem.hosts.size(), -1) {
  for (const std::vector<int>& devices : devices_by_host(problem))
    for (size_t i = 0; i < devices.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (devices[i] != head && devices[j] != head &&
            alike(problem.devices[devices[i]], problem.devices[devices[j]]))
          device_before_[devices[i]] = devices[j];
  const Hosts hosts(problem);
  const int head_host = problem.devices[head].host;
  for (int i = 0; i < static_cast<int>(problem.hosts.size()); ++i)
    for (int j = i - 1; j >= 0 && i != head_host && host_before_[i] < 0; --j)
      if (j != head_host && hosts.alike_hosts(i, j)) host_before_[i] = j;
}

bool Symmetry::may_follow(int device, const std::vector<char>& used,
                          const std::vector<int>& used_on) const {
  const int before = device_before_[device];
  if (before >= 0 && !used[before]) return false;
  const int host = problem_.devices[device].host, host_before = host_before_[host];
  return used_on[host] || host_before < 0 || used_on[host_before];
}

std::vector<int> unlike_heads(const PlanProblem& problem) {
  const Hosts hosts(problem);
  std::vector<int> heads;
  const auto stands_for = [&](int kept, int device) {
    const PlanDevice &a = problem.devices[kept], &b = problem.devices[device];
    return alike(a, b) && (a.host == b.host || hosts.alike_hosts(a.host, b.host));
  };
  for (int i = 0; i < static_cast<int>(problem.devices.size()); ++i)
    if (problem.devices[i].may_be_head && (problem.head < 0 || problem.head == i) &&
        std::none_of(heads.begin(), heads.end(), [&](int kept) { return stands_for(kept, i); }))
      heads.push_back(i);
  return heads;
}

}  // namespace potluck
