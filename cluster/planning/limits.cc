// Finds the longest part of a step and the memory that runs out.
#include "cluster/planning/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace potluck {
namespace {

constexpr double kFasterShare = 0.8;  // of another's ms a layer: worth a word

uint64_t mean_layer_bytes(const PlanDevice& device) {
  uint64_t bytes = 0;
  for (const uint64_t one : device.layer_bytes) bytes += one;
  return bytes / device.layer_bytes.size();
}

uint64_t free_bytes(const PlanProblem& problem, const Placement& plan, int device) {
  const uint64_t taken = bytes_on(problem, plan, device);
  return std::max(problem.devices[device].memory_bytes, taken) - taken;
}

// In the units of the table of memory.
std::string memory_text(uint64_t bytes) {
  constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
  return bytes < kGiB ? fmt::format("{:.0f} MiB", std::ceil(bytes / kMiB))
                      : fmt::format("{:.1f} GiB", bytes / kGiB);
}

std::string slowest_text(const std::vector<RingRow>& rows, double step) {
  const size_t slowest = slowest_row(rows);
  const RingRow& row = rows[slowest];
  if (row.wire_ms > row.work_ms && slowest == 0)
    return fmt::format("messages of the coordinator take {:.0f} % of a step",
                       100 * row.wire_ms / step);
  if (row.wire_ms > row.work_ms)
    return fmt::format("data from {} to {} is under way for {:.0f} % of a step",
                       rows[slowest - 1].device, row.device, 100 * row.wire_ms / step);
  return fmt::format("{} ({}) computes for {:.0f} % of a step", row.device, row.part,
                     100 * row.work_ms / step);
}

// A fast device that is full leaves layers to a slower one.
void add_full_devices(const PlanProblem& problem, const Placement& plan,
                      std::vector<std::string>& lines) {
  double slowest = 0;
  for (const PlacedStage& stage : plan.stages)
    slowest = std::max(slowest, mean_layer_ms(problem.devices[stage.device]));
  for (const PlacedStage& stage : plan.stages) {
    const PlanDevice& device = problem.devices[stage.device];
    const double saved = slowest - mean_layer_ms(device);
    const uint64_t free = free_bytes(problem, plan, stage.device);
    const uint64_t layer = mean_layer_bytes(device);
    if (free >= layer || mean_layer_ms(device) > kFasterShare * slowest) continue;
    lines.push_back(fmt::format("{} is full: {} more would take another layer and save {:.1f} ms",
                                device.name, memory_text(layer - free), saved));
  }
}

}  // namespace

double mean_layer_ms(const PlanDevice& device) {
  double ms = 0;
  for (const double one : device.layer_ms) ms += one;
  return ms / device.layer_ms.size();
}

std::vector<RingRow> ring_rows(const PlanProblem& problem, const Placement& plan) {
  const RingTimes times = ring_times(problem, plan);
  std::vector<RingRow> rows = {
      {problem.devices[plan.head].name, "head", times.coordinator_ms, times.head_ms, false}};
  const auto is_narrow = [&](int from, int to) {
    return problem.hops[problem.devices[from].host][problem.devices[to].host].narrow;
  };
  int from = plan.head;
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    const PlacedStage& stage = plan.stages[i];
    rows.push_back({problem.devices[stage.device].name, "layers " + range_text(stage.layers),
                    times.hop_ms[i], times.stage_ms[i], is_narrow(from, stage.device)});
    from = stage.device;
  }
  rows.push_back({problem.devices[plan.head].name, "back to the head", times.hop_ms.back(), 0,
                  is_narrow(from, plan.head)});
  return rows;
}

size_t slowest_row(const std::vector<RingRow>& rows) {
  const auto slowest = std::max_element(
      rows.begin(), rows.end(),
      [](const RingRow& a, const RingRow& b) { return a.most_ms() < b.most_ms(); });
  return slowest - rows.begin();
}

std::vector<std::string> limits(const PlanProblem& problem, const Placement& plan) {
  const std::vector<RingRow> rows = ring_rows(problem, plan);
  std::vector<std::string> lines = {slowest_text(rows, step_ms(problem, plan))};
  add_full_devices(problem, plan, lines);
  return lines;
}

}  // namespace potluck
