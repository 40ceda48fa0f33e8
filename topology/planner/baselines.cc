// Places layers by counts and by memory.
#include "topology/planner/baselines.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "topology/plan/even_partitioner.h"

namespace potluck {
namespace {

// Devices that pass, the one with the most memory first.
std::vector<int> by_memory(const PlanProblem& problem,
                           const std::function<bool(const PlanDevice&)>& passes) {
  std::vector<int> order;
  for (size_t i = 0; i < problem.devices.size(); ++i)
    if (passes(problem.devices[i])) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return problem.devices[a].memory_bytes > problem.devices[b].memory_bytes;
  });
  return order;
}

std::vector<int> heads_of(const PlanProblem& problem) {
  if (problem.head >= 0) return {problem.head};
  return by_memory(problem, [](const PlanDevice& device) { return device.may_be_head; });
}

Placement with_counts(int head, const std::vector<int>& devices, const std::vector<int>& counts) {
  Placement placement{head, {}};
  int begin = 0;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (counts[i] > 0) placement.stages.push_back({devices[i], {begin, begin + counts[i]}});
    begin += counts[i];
  }
  return placement;
}

using Rule = std::function<std::optional<Placement>(int head, const std::vector<int>& devices)>;

std::optional<Placement> fewest(const PlanProblem& problem, const Rule& rule) {
  const std::vector<int> order =
      by_memory(problem, [](const PlanDevice& device) { return device.may_hold_layers; });
  for (size_t count = 1; count <= order.size(); ++count) {
    std::vector<int> devices(order.begin(), order.begin() + count);
    std::sort(devices.begin(), devices.end());
    for (const int head : heads_of(problem)) {
      const std::optional<Placement> placement = rule(head, devices);
      if (placement && fits(problem, *placement)) return placement;
    }
  }
  return std::nullopt;
}

std::vector<int> proportional(const PlanProblem& problem, const std::vector<int>& devices) {
  double total = 0, sum = 0;
  for (const int i : devices) total += problem.devices[i].memory_bytes;
  std::vector<int> counts;
  int begin = 0;
  for (const int i : devices) {
    sum += problem.devices[i].memory_bytes;
    const int end = std::lround(problem.layers() * sum / total);
    counts.push_back(end - begin);
    begin = end;
  }
  return counts;
}

Placement filled(const PlanProblem& problem, int head, const std::vector<int>& devices) {
  Placement placement{head, {}};
  int begin = 0;
  for (const int device : devices) {
    placement.stages.push_back({device, {begin, begin}});
    int& end = placement.stages.back().layers.end;
    while (end < problem.layers()) {
      ++end;
      if (bytes_on(problem, placement, device) <= problem.devices[device].memory_bytes) continue;
      --end;
      break;
    }
    begin = end;
    if (placement.stages.back().layers.size() == 0) placement.stages.pop_back();
  }
  return placement;
}

bool is_whole(const PlanProblem& problem, const Placement& placement) {
  return !placement.stages.empty() && placement.stages.back().layers.end == problem.layers();
}

}  // namespace

std::optional<Placement> place_evenly(const PlanProblem& problem) {
  return fewest(problem,
                [&](int head, const std::vector<int>& devices) -> std::optional<Placement> {
                  const int parts = devices.size();
                  if (parts > problem.layers()) return std::nullopt;
                  const PlanDevice& first = problem.devices[devices.front()];
                  return with_counts(head, devices, split_evenly(first.layer_bytes, parts));
                });
}

std::optional<Placement> place_by_memory(const PlanProblem& problem) {
  return fewest(
      problem, [&](int head, const std::vector<int>& devices) -> std::optional<Placement> {
        const Placement share = with_counts(head, devices, proportional(problem, devices));
        if (fits(problem, share)) return share;
        const Placement full = filled(problem, head, devices);
        if (is_whole(problem, full)) return full;
        return std::nullopt;
      });
}

}  // namespace potluck
