// Fills rings of one period after another, for many periods, and betters those of the best.
#include "topology/planner/pool.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "topology/plan/step_time.h"
#include "topology/planner/bound.h"
#include "topology/planner/cuts.h"
#include "topology/planner/local_search.h"

namespace potluck {
namespace {

constexpr double kPeriodFactor = 1.08;  // from one period that is tried to the next
// The devices that rings of one period leave go into rings of a longer one, so many further on.
constexpr size_t kPeriodsPassed = 4;

double head_part(const PlanDevice& device) {
  return head_part_ms(device.head_ms, device.message_ms);
}

double all_layers_ms(const PlanDevice& device) {
  return std::accumulate(device.layer_ms.begin(), device.layer_ms.end(), 0.0);
}

// How much better a device is as a head than with layers: the least first.
double head_ratio(const PlanDevice& device) {
  return head_part(device) / std::max(all_layers_ms(device), 1e-9);
}

// The devices and the shares of hosts' lines that rings have taken.
struct Taken {
  std::vector<char> used;              // [device]
  std::vector<double> sent, received;  // [host]: the share of its line's time
  explicit Taken(const PlanProblem& problem)
      : used(problem.devices.size(), 0),
        sent(problem.hosts.size(), 0),
        received(problem.hosts.size(), 0) {}
};

// Rings of one period out of what is not taken.
class Filler {
 public:
  Filler(const PlanProblem& problem, double period)
      : problem_(problem), period_(period), layers_(problem.layers()) {
    const Cuts cuts(problem, period);
    for (int device = 0; device < count(); ++device) {
      reach_.push_back(reach_of(cuts, -1, device));
      reach_beside_head_.push_back(reach_of(cuts, device, device));
      if (cuts.head_ms(device) != kNever) heads_.push_back(device);
    }
    std::stable_sort(heads_.begin(), heads_.end(), [&](int a, int b) {
      return head_ratio(problem.devices[a]) < head_ratio(problem.devices[b]);
    });
  }

  void fill(Taken& taken, std::vector<Placement>& rings, uint64_t& looked_at) const {
    for (const int head : heads_) {
      if (taken.used[head]) continue;
      Taken with_ring = taken;
      const auto ring = ring_around(head, with_ring, looked_at);
      if (!ring) continue;
      rings.push_back(*ring);
      taken = std::move(with_ring);
    }
  }

 private:
  int count() const { return problem_.devices.size(); }
  int host_of(int device) const { return problem_.devices[device].host; }

  // [begin]: the greatest end of a range on the device.
  std::vector<int> reach_of(const Cuts& cuts, int head, int device) const {
    std::vector<int> reach(layers_ + 1, 0);
    for (int end = 0; end <= layers_; ++end) reach[cuts.first(head, device, end)] = end;
    for (int begin = 1; begin <= layers_; ++begin)
      reach[begin] = std::max({reach[begin], reach[begin - 1], begin});
    return reach;
  }
  int reach(int head, int device, int begin) const {
    return (head == device ? reach_beside_head_ : reach_)[device][begin];
  }
  double line_share(int from, int to) const {
    const int a = host_of(from), b = host_of(to);
    return a == b ? 0 : problem_.hops[a][b].wire_ms / period_;
  }
  bool line_is_free(int from, int to, const Taken& taken) const {
    const double share = line_share(from, to);
    return taken.sent[host_of(from)] + share <= 1 && taken.received[host_of(to)] + share <= 1;
  }
  void take_line(int from, int to, Taken& taken) const {
    taken.sent[host_of(from)] += line_share(from, to);
    taken.received[host_of(to)] += line_share(from, to);
  }

  // The device with which the ring goes on: of those that reach the end the one that could hold the
  // least, or else the one that reaches furthest; -1 if there is none.
  int next_of(int head, int at, int begin, const Taken& taken) const {
    int best = -1, best_end = 0, best_room = 0;
    for (int device = 0; device < count(); ++device) {
      const int end = reach(head, device, begin);
      if (taken.used[device] || end <= begin || !line_is_free(at, device, taken)) continue;
      const int room = reach(head, device, 0);
      const bool better = end > best_end || (end == layers_ && room < best_room);
      if (best >= 0 && !better) continue;
      best = device, best_end = end, best_room = room;
    }
    return best;
  }

  // The head's device holds layers only if it is picked for them while the ring is made.
  std::optional<Placement> ring_around(int head, Taken& taken, uint64_t& looked_at) const {
    Placement ring{head, {}};
    int at = head, begin = 0;
    while (begin < layers_) {
      looked_at += count();
      const int next = next_of(head, at, begin, taken);
      if (next < 0 || ring.stages.size() == kPoolStagesMax) return std::nullopt;
      const int end = reach(head, next, begin);
      ring.stages.push_back({next, {begin, end}});
      taken.used[next] = 1;
      take_line(at, next, taken);
      at = next, begin = end;
    }
    if (!line_is_free(at, head, taken)) return std::nullopt;
    take_line(at, head, taken);
    taken.used[head] = 1;
    return ring;
  }

  const PlanProblem& problem_;
  const double period_;
  const int layers_;
  std::vector<std::vector<int>> reach_, reach_beside_head_;
  std::vector<int> heads_;
};

// A device can do this at most: it holds `room` of the work, and a unit of it takes unit_ms, its
// message spread over all that it can hold.
struct Strength {
  double room = 0, unit_ms = kNever, head_ms = kNever;
};

std::vector<Strength> strengths(const PlanProblem& problem) {
  const Cuts cuts(problem);
  const std::vector<double> work = layer_work(problem);
  std::vector<Strength> found;
  for (int device = 0; device < static_cast<int>(problem.devices.size()); ++device) {
    const PlanDevice& spec = problem.devices[device];
    Strength strength;
    for (int end = 1; end <= problem.layers(); ++end)
      strength.room = std::max(
          strength.room,
          std::accumulate(work.begin() + cuts.first(-1, device, end), work.begin() + end, 0.0));
    if (strength.room > 0) strength.unit_ms = unit_ms(spec, work) + spec.message_ms / strength.room;
    if (cuts.head_ms(device) != kNever) strength.head_ms = head_part(spec);
    found.push_back(strength);
  }
  return found;
}

// Steps a ms that all devices' time allows: heads go to those that are better at it than with
// layers, and the others' time to layers.
double rate_by_time(std::vector<Strength> devices) {
  const auto head_over_layers = [](const Strength& device) {
    if (device.head_ms == kNever) return kNever;
    return device.unit_ms == kNever ? 0 : device.head_ms / device.unit_ms;
  };
  std::stable_sort(devices.begin(), devices.end(), [&](const Strength& a, const Strength& b) {
    return head_over_layers(a) < head_over_layers(b);
  });
  const auto is_possible = [&](double rate) {
    double heads = rate, layers = 0;
    for (const Strength& device : devices) {
      const bool is_head = device.head_ms != kNever && heads > 0;
      const double share = is_head ? std::min(1.0, heads * device.head_ms) : 0;
      if (is_head) heads -= share / device.head_ms;
      layers += (1 - share) / device.unit_ms;
    }
    return heads <= 1e-12 && layers >= rate;
  };
  double low = 0, high = 1;
  while (is_possible(high)) high *= 2;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (is_possible(middle) ? low : high) = middle;
  }
  return high;
}

// Steps a ms that the hosts' lines allow: a host that cannot hold all layers gets rows for at most
// what it holds of them each time, by a line that is busy for so long.
double rate_by_lines(const PlanProblem& problem, const std::vector<Strength>& devices) {
  std::vector<double> room(problem.hosts.size()), by_time(problem.hosts.size());
  for (size_t i = 0; i < devices.size(); ++i) {
    room[problem.devices[i].host] += devices[i].room;
    by_time[problem.devices[i].host] += 1 / devices[i].unit_ms;
  }
  double rate = 0;
  for (size_t to = 0; to < room.size(); ++to) {
    double wire_ms = kNever;
    for (size_t from = 0; from < room.size(); ++from)
      if (from != to) wire_ms = std::min(wire_ms, problem.hops[from][to].wire_ms);
    const bool holds_all = room[to] >= 1 - 1e-9;
    rate += holds_all || wire_ms <= 0 ? by_time[to] : std::min(by_time[to], room[to] / wire_ms);
  }
  return rate;
}

// Each ring by itself, with the devices that no ring has.
class Betterer {
 public:
  Betterer(const PlanProblem& problem, std::vector<Placement>& rings)
      : problem_(problem), rings_(rings) {}

  void better(size_t ring) {
    std::vector<int> others;
    for (size_t i = 0; i < rings_.size(); ++i)
      if (i != ring) add_devices(rings_[i], others);
    const PlanProblem own = problem_.without(others);
    const Cuts cuts(own);
    const Order order = improved(own, order_of(rings_[ring]), [&](const Order& candidate) {
      ++looked_at_;
      if (candidate.devices.size() > kPoolStagesMax) return kNever;
      return cuts.least_period_ms(candidate);
    });
    const double period = cuts.least_period_ms(order);
    if (period < period_ms(problem_, rings_[ring]))
      rings_[ring] = *Cuts(own, period).least_step(order);
  }
  uint64_t looked_at() const { return looked_at_; }

 private:
  static void add_devices(const Placement& ring, std::vector<int>& devices) {
    devices.push_back(ring.head);
    for (const PlacedStage& stage : ring.stages) devices.push_back(stage.device);
  }

  const PlanProblem& problem_;
  std::vector<Placement>& rings_;
  uint64_t looked_at_ = 0;
};

// From the longest that a ring can have, downwards.
std::vector<double> periods_to_try(const PlanProblem& problem) {
  double shortest = kNever, longest = 0;
  for (const PlanDevice& device : problem.devices) {
    if (!device.may_hold_layers) continue;
    shortest =
        std::min(shortest, *std::min_element(device.layer_ms.begin(), device.layer_ms.end()));
    longest = std::max(longest, all_layers_ms(device) + head_part(device) + device.message_ms);
  }
  for (const auto& row : problem.hops)
    for (const HostHop& hop : row) longest = std::max(longest, 2 * hop.wire_ms);
  std::vector<double> periods;
  for (double period = longest; period > shortest; period /= kPeriodFactor)
    periods.push_back(period);
  return periods;
}

// Where there is hardly room for more than one ring, the exact search finds it.
void take_single(const PlanProblem& problem, PoolAnswer& answer) {
  constexpr uint64_t kNodes = 20'000;
  const PlanAnswer single = plan_throughput(problem, {{kNodes, std::nullopt}, true});
  if (!single.placement || single.placement->stages.size() > kPoolStagesMax) return;
  const double rate = pool_steps_per_s(problem, {*single.placement});
  if (rate > answer.steps_per_s) answer = {{*single.placement}, rate, 0};
}

}  // namespace

double pool_steps_per_s(const PlanProblem& problem, const std::vector<Placement>& rings) {
  std::vector<Use> lines;
  double steps_per_ms = 0;
  for (const Placement& ring : rings) {
    const double rate = 1 / period_ms(problem, ring);
    steps_per_ms += rate;
    int from = problem.devices[ring.head].host;
    std::vector<PlacedStage> stages = ring.stages;
    stages.push_back({ring.head, {}});
    for (const PlacedStage& stage : stages) {
      const int to = problem.devices[stage.device].host;
      if (from != to)
        for (const int line : {2 * from, 2 * to + 1})
          lines.push_back({line, rate * problem.hops[from][to].wire_ms});
      from = to;
    }
  }
  return 1000 * steps_per_ms / std::max(1.0, period_ms(lines));
}

PoolAnswer plan_pool(const PlanProblem& problem, const Budget& budget) {
  const Time begin = now();
  uint64_t looked_at = 0;
  const auto ended = [&] {
    return looked_at >= budget.nodes || (budget.time && now() - begin >= *budget.time);
  };
  std::vector<Filler> fillers;  // the longest period first
  for (const double period : periods_to_try(problem)) fillers.emplace_back(problem, period);
  PoolAnswer answer;
  for (size_t shortest = 0; shortest < fillers.size() && !ended(); ++shortest) {
    Taken taken(problem);
    std::vector<Placement> rings;
    for (size_t i = shortest + 1; i > 0; i -= std::min(i, kPeriodsPassed))
      fillers[i - 1].fill(taken, rings, looked_at);
    const double rate = rings.empty() ? 0 : pool_steps_per_s(problem, rings);
    if (rate > answer.steps_per_s) answer = {rings, rate, 0};
  }
  if (answer.rings.size() <= 1) take_single(problem, answer);
  std::vector<Placement> rings = answer.rings;
  Betterer betterer(problem, rings);
  for (size_t i = 0; i < rings.size() && !ended(); ++i) {
    const uint64_t before = betterer.looked_at();
    betterer.better(i);
    looked_at += betterer.looked_at() - before;
  }
  const double rate = rings.empty() ? 0 : pool_steps_per_s(problem, rings);
  if (rate > answer.steps_per_s) answer = {rings, rate, 0};
  const std::vector<Strength> devices = strengths(problem);
  answer.bound_per_s = 1000 * std::min(rate_by_time(devices), rate_by_lines(problem, devices));
  return answer;
}

}  // namespace potluck
