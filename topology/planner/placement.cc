// Says what a placement takes, and writes it as a plan.
#include "topology/planner/placement.h"

#include <algorithm>
#include <numeric>

#include "topology/cluster/plan_endpoints.h"

namespace potluck {
namespace {

double layers_ms(const PlanDevice& device, LayerRange layers) {
  return std::accumulate(device.layer_ms.begin() + layers.begin,
                         device.layer_ms.begin() + layers.end, 0.0);
}

// The devices around the ring, the head at both ends.
std::vector<int> around(const Placement& placement) {
  std::vector<int> devices = {placement.head};
  for (const PlacedStage& stage : placement.stages) devices.push_back(stage.device);
  devices.push_back(placement.head);
  return devices;
}

const HostHop& hop_between(const PlanProblem& problem, int from, int to) {
  return problem.hops[problem.devices[from].host][problem.devices[to].host];
}

}  // namespace

RingTimes ring_times(const PlanProblem& problem, const Placement& placement) {
  const PlanDevice& head = problem.devices[placement.head];
  RingTimes times;
  times.coordinator_ms = problem.coordinator_ms[head.host];
  times.head_ms = head_part_ms(head.head_ms, head.message_ms);
  for (const PlacedStage& stage : placement.stages) {
    const PlanDevice& device = problem.devices[stage.device];
    times.stage_ms.push_back(stage_part_ms(layers_ms(device, stage.layers), device.message_ms));
  }
  const std::vector<int> ring = around(placement);
  for (size_t i = 0; i + 1 < ring.size(); ++i)
    times.hop_ms.push_back(hop_between(problem, ring[i], ring[i + 1]).ms);
  return times;
}

double step_ms(const PlanProblem& problem, const Placement& placement) {
  return step_ms(ring_times(problem, placement));
}

double period_ms(const PlanProblem& problem, const Placement& placement) {
  const RingTimes times = ring_times(problem, placement);
  const int devices = problem.devices.size(), hosts = problem.hosts.size();
  std::vector<Use> uses = {{placement.head, times.head_ms}};
  for (size_t i = 0; i < placement.stages.size(); ++i)
    uses.push_back({placement.stages[i].device, times.stage_ms[i]});
  const std::vector<int> ring = around(placement);
  for (size_t i = 0; i + 1 < ring.size(); ++i) {
    const int from = problem.devices[ring[i]].host, to = problem.devices[ring[i + 1]].host;
    if (from == to) continue;
    uses.push_back({devices + from, problem.hops[from][to].wire_ms});
    uses.push_back({devices + hosts + to, problem.hops[from][to].wire_ms});
  }
  return period_ms(uses);
}

uint64_t bytes_on(const PlanProblem& problem, const Placement& placement, int device) {
  const PlanDevice& spec = problem.devices[device];
  uint64_t bytes = placement.head == device ? spec.head_bytes : 0;
  for (const PlacedStage& stage : placement.stages)
    if (stage.device == device)
      bytes += std::accumulate(spec.layer_bytes.begin() + stage.layers.begin,
                               spec.layer_bytes.begin() + stage.layers.end, spec.stage_bytes);
  return bytes;
}

bool fits(const PlanProblem& problem, const Placement& placement) {
  for (size_t i = 0; i < problem.devices.size(); ++i)
    if (bytes_on(problem, placement, i) > problem.devices[i].memory_bytes) return false;
  return true;
}

Plan plan_of(const PlanProblem& problem, const Placement& placement) {
  Plan plan = problem.frame;
  plan.stages.clear();
  const std::vector<int> ring = around(placement);
  const auto worker_at = [&](size_t place) {
    const PlanDevice& device = problem.devices[ring[place]];
    WorkerPlan worker;
    worker.name = device.name;
    worker.device = device.device;
    worker.threads = device.threads;
    worker.memory_bytes = device.memory_bytes;
    worker.hop_type = hop_between(problem, ring[place], ring[place + 1]).narrow
                          ? DType::q8_0
                          : problem.frame.stream;
    return worker;
  };
  plan.head = worker_at(0);
  for (size_t i = 0; i < placement.stages.size(); ++i) {
    plan.stages.push_back(worker_at(i + 1));
    plan.stages.back().layers = placement.stages[i].layers;
    if (placement.stages[i].device != placement.head) continue;
    plan.head.name += kHeadSuffix;
    plan.head.memory_bytes = problem.devices[placement.head].head_bytes;
    plan.stages.back().memory_bytes -= plan.head.memory_bytes;
  }
  return plan;
}

}  // namespace potluck
