// Dynamic programming over the ends of ranges, one device after another.
#include "topology/planner/cuts.h"

#include <algorithm>

#include "topology/plan/step_time.h"

namespace potluck {
namespace {

template <typename Value>
std::vector<Value> sums_before(const std::vector<Value>& parts) {
  std::vector<Value> sums(parts.size() + 1);
  for (size_t i = 0; i < parts.size(); ++i) sums[i + 1] = sums[i] + parts[i];
  return sums;
}

}  // namespace

Order order_of(const Placement& placement) {
  Order order{placement.head, {}};
  for (const PlacedStage& stage : placement.stages) order.devices.push_back(stage.device);
  return order;
}

Cuts::Cuts(const PlanProblem& problem, double period_max)
    : problem_(problem), period_max_(period_max), layers_(problem.layers()) {
  for (const PlanDevice& device : problem.devices) {
    ms_before_.push_back(sums_before(device.layer_ms));
    bytes_before_.push_back(sums_before(device.layer_bytes));
  }
  first_ = find_firsts(false);
  first_beside_head_ = find_firsts(true);
}

bool Cuts::fits(int device, LayerRange layers, bool beside_head) const {
  const PlanDevice& spec = problem_.devices[device];
  uint64_t bytes = bytes_before_[device][layers.end] - bytes_before_[device][layers.begin];
  bytes += spec.stage_bytes + (beside_head ? spec.head_bytes : 0);
  double ms = range_ms(device, layers);
  if (beside_head) ms += head_part_ms(spec.head_ms, spec.message_ms);
  return spec.may_hold_layers && bytes <= spec.memory_bytes && ms <= period_max_ + kSameMs;
}

Cuts::Firsts Cuts::find_firsts(bool beside_head) const {
  Firsts firsts(problem_.devices.size(), std::vector<int>(layers_ + 1, 0));
  for (size_t device = 0; device < firsts.size(); ++device) {
    int begin = 0;
    for (int end = 1; end <= layers_; ++end) {
      while (begin < end && !fits(device, {begin, end}, beside_head)) ++begin;
      firsts[device][end] = begin;
    }
  }
  return firsts;
}

double Cuts::hop_ms(int from, int to) const {
  const int a = problem_.devices[from].host, b = problem_.devices[to].host;
  const HostHop& hop = problem_.hops[a][b];
  return a != b && hop.wire_ms > period_max_ + kSameMs ? kNever : hop.ms;
}

double Cuts::head_ms(int head) const {
  const PlanDevice& device = problem_.devices[head];
  const double part = head_part_ms(device.head_ms, device.message_ms);
  const bool pinned_elsewhere = problem_.head >= 0 && problem_.head != head;
  if (!device.may_be_head || pinned_elsewhere || device.head_bytes > device.memory_bytes ||
      part > period_max_ + kSameMs)
    return kNever;
  return problem_.coordinator_ms[device.host] + part;
}

int Cuts::first(int head, int device, int end) const {
  return (head == device ? first_beside_head_ : first_)[device][end];
}

double Cuts::range_ms(int device, LayerRange layers) const {
  return stage_part_ms(ms_before_[device][layers.end] - ms_before_[device][layers.begin],
                       problem_.devices[device].message_ms);
}

void Cuts::extend(int head, int device, double entry_ms, std::span<const double> from,
                  std::span<double> to) const {
  const std::vector<double>& before = ms_before_[device];
  const std::vector<int>& firsts = (head == device ? first_beside_head_ : first_)[device];
  const double fixed = stage_part_ms(entry_ms, problem_.devices[device].message_ms);
  to[0] = kNever;
  for (int end = 1; end <= layers_; ++end) {
    double least = kNever;
    for (int j = firsts[end]; j < end; ++j) least = std::min(least, from[j] - before[j]);
    to[end] = least + before[end] + fixed;
  }
}

double Cuts::lines_ms(const Order& order) const {
  std::vector<Use> uses;
  std::vector<int> ring = order.devices;
  ring.push_back(order.head);
  int from = problem_.devices[order.head].host;
  for (const int device : ring) {
    const int to = problem_.devices[device].host;
    if (from != to) {
      uses.push_back({2 * from, problem_.hops[from][to].wire_ms});
      uses.push_back({2 * to + 1, problem_.hops[from][to].wire_ms});
    }
    from = to;
  }
  return potluck::period_ms(uses);
}

double Cuts::least_step_ms(const Order& order) const {
  if (period_max_ != kNever && lines_ms(order) > period_max_ + kSameMs) return kNever;
  std::vector<double> from(layers_ + 1, kNever), to(layers_ + 1);
  from[0] = head_ms(order.head);
  int at = order.head;
  for (const int device : order.devices) {
    extend(order.head, device, hop_ms(at, device), from, to);
    from.swap(to);
    at = device;
  }
  return from[layers_] + hop_ms(at, order.head);
}

std::optional<Placement> Cuts::least_step(const Order& order) const {
  if (least_step_ms(order) == kNever) return std::nullopt;
  std::vector<std::vector<double>> done = {std::vector<double>(layers_ + 1, kNever)};
  done[0][0] = 0;
  int at = order.head;
  for (const int device : order.devices) {
    done.emplace_back(layers_ + 1);
    extend(order.head, device, hop_ms(at, device), done[done.size() - 2], done.back());
    at = device;
  }
  Placement placement{order.head, {}};
  int end = layers_;
  for (size_t i = order.devices.size(); i > 0; --i) {
    const int device = order.devices[i - 1];
    const auto cost = [&](int begin) { return done[i - 1][begin] - ms_before_[device][begin]; };
    int begin = first(order.head, device, end);
    for (int j = begin; j < end; ++j)
      if (cost(j) < cost(begin)) begin = j;
    placement.stages.push_back({device, {begin, end}});
    end = begin;
  }
  std::reverse(placement.stages.begin(), placement.stages.end());
  return placement;
}

double Cuts::least_period_ms(const Order& order) const {
  if (head_ms(order.head) == kNever) return kNever;
  std::vector<double> from(layers_ + 1, kNever), to(layers_ + 1);
  const PlanDevice& head = problem_.devices[order.head];
  from[0] = std::max(lines_ms(order), head_part_ms(head.head_ms, head.message_ms));
  for (const int device : order.devices) {
    const double beside = device == order.head ? head_part_ms(head.head_ms, head.message_ms) : 0.0;
    std::fill(to.begin(), to.end(), kNever);
    for (int end = 1; end <= layers_; ++end)
      for (int begin = end - 1; begin >= first(order.head, device, end); --begin) {
        const double busy = range_ms(device, {begin, end}) + beside;
        if (busy >= to[end]) break;
        to[end] = std::min(to[end], std::max(from[begin], busy));
      }
    from.swap(to);
  }
  return from[layers_];
}

}  // namespace potluck
