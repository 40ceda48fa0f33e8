// Goes over heads, orders of devices and cuts by recursion.
#include "enumerator.h"

#include <algorithm>
#include <vector>

namespace potluck {
namespace {

struct Walk {
  const PlanProblem& problem;
  int head;
  Least& least;
  std::vector<bool> used;
  std::vector<double> busy;            // [device]
  std::vector<double> sent, received;  // [host]

  int host(int device) const { return problem.devices[device].host; }

  void finish(int last, double ms) {
    const HostHop& hop = problem.hops[host(last)][host(head)];
    std::vector<double> out = sent, in = received;
    if (host(last) != host(head)) {
      out[host(last)] += hop.wire_ms;
      in[host(head)] += hop.wire_ms;
    }
    double period = 0;
    for (const auto* parts : {&busy, &out, &in})
      for (const double part : *parts) period = std::max(period, part);
    ++least.placements;
    least.step_ms = std::min(least.step_ms, ms + hop.ms);
    least.period_ms = std::min(least.period_ms, period);
    const double step = ms + hop.ms;
    auto& front = least.front;
    if (std::any_of(front.begin(), front.end(), [&](const auto& point) {
          return point.first <= period && point.second <= step;
        }))
      return;
    front.erase(std::remove_if(front.begin(), front.end(),
                               [&](const auto& point) {
                                 return period <= point.first && step <= point.second;
                               }),
                front.end());
    front.emplace_back(period, step);
  }

  // Layers before `begin` are done at device `at`, after ms.
  void go_on(int at, int begin, double ms) {
    const int layers = problem.devices[0].layer_ms.size();
    if (begin == layers) return finish(at, ms);
    for (int next = 0; next < static_cast<int>(used.size()); ++next)
      if (!used[next] && problem.devices[next].may_hold_layers) hold(at, next, begin, ms);
  }

  void hold(int at, int next, int begin, double ms) {
    const PlanDevice& device = problem.devices[next];
    const HostHop& hop = problem.hops[host(at)][host(next)];
    const double wire = host(at) == host(next) ? 0 : hop.wire_ms;
    used[next] = true;
    sent[host(at)] += wire;
    received[host(next)] += wire;
    uint64_t bytes = device.stage_bytes + (next == head ? device.head_bytes : 0);
    double compute = device.message_ms;
    const double before = busy[next];
    for (int end = begin; end < static_cast<int>(device.layer_ms.size());) {
      bytes += device.layer_bytes[end];
      compute += device.layer_ms[end];
      ++end;
      if (bytes > device.memory_bytes) break;
      busy[next] = before + compute;
      go_on(next, end, ms + hop.ms + compute);
    }
    busy[next] = before;
    sent[host(at)] -= wire;
    received[host(next)] -= wire;
    used[next] = false;
  }
};

}  // namespace

Least enumerate(const PlanProblem& problem) {
  Least least;
  const size_t devices = problem.devices.size(), hosts = problem.hosts.size();
  for (int head = 0; head < static_cast<int>(devices); ++head) {
    const PlanDevice& device = problem.devices[head];
    if (!device.may_be_head || device.head_bytes > device.memory_bytes) continue;
    if (problem.head >= 0 && problem.head != head) continue;
    const double ms = device.head_ms + 2 * device.message_ms;
    Walk walk{problem,
              head,
              least,
              std::vector<bool>(devices),
              std::vector<double>(devices),
              std::vector<double>(hosts),
              std::vector<double>(hosts)};
    walk.busy[head] = ms;
    walk.go_on(head, 0, problem.coordinator_ms[device.host] + ms);
  }
  return least;
}

}  // namespace potluck
