// Fills the rest of the layers fractionally.
#include "topology/planner/bound.h"

#include <algorithm>
#include <numeric>

#include "topology/plan/step_time.h"

namespace potluck {
namespace {

// Sums of parts in another order may differ by so much of a unit.
constexpr double kSameWork = 1e-12;

std::vector<int> sorted_by(const std::vector<int>& devices, const std::vector<double>& key,
                           bool falling = false) {
  std::vector<int> order = devices;
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return falling ? key[a] > key[b] : key[a] < key[b]; });
  return order;
}

}  // namespace

std::vector<double> layer_work(const PlanProblem& problem) {
  std::vector<double> work(problem.layers());
  int holders = 0;
  for (const PlanDevice& device : problem.devices) {
    const double total = std::accumulate(device.layer_ms.begin(), device.layer_ms.end(), 0.0);
    if (!device.may_hold_layers || total <= 0) continue;
    ++holders;
    for (size_t i = 0; i < work.size(); ++i) work[i] += device.layer_ms[i] / total;
  }
  for (double& each : work) each /= std::max(1, holders);
  return work;
}

double unit_ms(const PlanDevice& device, const std::vector<double>& work) {
  double least = kNever;
  for (size_t i = 0; i < work.size(); ++i)
    if (work[i] > 0) least = std::min(least, device.layer_ms[i] / work[i]);
  return least;
}

Bound::Bound(const Cuts& cuts, int head)
    : cuts_(cuts),
      problem_(cuts.problem()),
      head_(head),
      head_host_(problem_.devices[head].host),
      on_host_(problem_.hosts.size()) {
  for (size_t i = 0; i < problem_.devices.size(); ++i)
    if (problem_.devices[i].may_hold_layers) on_host_[problem_.devices[i].host].push_back(i);
  find_ways_in();
  weigh_layers();
  sort_devices();
}

void Bound::find_ways_in() {
  const int hosts = problem_.hosts.size();
  into_.assign(hosts, kNever);
  out_of_.assign(hosts, kNever);
  for (int to = 0; to < hosts; ++to)
    for (int from = 0; from < hosts; ++from) {
      const HostHop& hop = problem_.hops[from][to];
      if (from == to || !has_rows(from) || !has_rows(to)) continue;
      if (hop.wire_ms > cuts_.period_max() + kSameMs) continue;
      into_[to] = std::min(into_[to], hop.ms);
      out_of_[from] = std::min(out_of_[from], hop.ms);
    }
  level_ways();
}

// Ways in may be made cheaper than they are. That is worth it where it takes off little.
void Bound::level_ways() {
  constexpr double kLittle = 0.1;
  const int hosts = problem_.hosts.size();
  for (int host = 0; host < hosts; ++host)
    if (has_rows(host) && out_of_[host] < (1 - kLittle) * into_[host]) out_takes_no_less_ = false;
  for (int host = 0; host < hosts && out_takes_no_less_; ++host)
    into_[host] = std::min(into_[host], out_of_[host]);
}

void Bound::weigh_layers() {
  const int layers = cuts_.layers(), devices = problem_.devices.size();
  const std::vector<double> work = layer_work(problem_);
  work_after_.assign(layers + 1, 0);
  for (int i = layers; i > 0; --i) work_after_[i - 1] = work_after_[i] + work[i - 1];
  room_.assign(devices, 0);
  for (int device = 0; device < devices; ++device) {
    unit_ms_.push_back(unit_ms(problem_.devices[device], work));
    for (int end = 1; end <= layers; ++end)
      room_[device] =
          std::max(room_[device], work_after_[cuts_.first(head_, device, end)] - work_after_[end]);
  }
}

// On the head's own host even a lone device gets rows without a way in.
double Bound::way_in(int device) const {
  const int host = problem_.devices[device].host;
  const bool has_neighbour = on_host_[host].size() > 1 || host == head_host_;
  return has_neighbour ? std::min(into_[host], problem_.hops[host][host].ms) : into_[host];
}

void Bound::sort_devices() {
  const int devices = problem_.devices.size();
  fixed_ms_.assign(devices, 0);
  spread_.assign(devices, 0);
  spread_far_.assign(devices, 0);
  std::vector<int> holders;
  for (const std::vector<int>& on : on_host_) {
    double room = 0;
    for (const int device : on) room += room_[device];
    for (const int device : on) {
      if (room_[device] <= 0) continue;
      const int host = problem_.devices[device].host;
      fixed_ms_[device] = stage_part_ms(way_in(device), problem_.devices[device].message_ms);
      spread_[device] = unit_ms_[device] + fixed_ms_[device] / room_[device];
      const double more = host == head_host_ ? 0 : into_[host] - way_in(device);
      spread_far_[device] = spread_[device] + more / room;
      if (into_[host] == kNever && host != head_host_) spread_far_[device] = kNever;
      holders.push_back(device);
    }
  }
  by_unit_ = sorted_by(holders, unit_ms_);
  by_room_ = sorted_by(holders, room_, true);
  by_fixed_ = sorted_by(holders, fixed_ms_);
  by_far_ = sorted_by(holders, spread_far_);
  std::vector<double> way(devices);
  for (const int device : holders) way[device] = into_[problem_.devices[device].host];
  by_way_in_ = sorted_by(holders, way);
  for (std::vector<int>& on : on_host_) {
    on.erase(std::remove_if(on.begin(), on.end(), [&](int i) { return room_[i] <= 0; }), on.end());
    on = sorted_by(on, spread_);
  }
}

void Bound::fill(const std::vector<char>& used, const List& here, const List& there, int without,
                 std::vector<double>& ms) const {
  double room = 0, cost = 0;  // of the devices that are full
  double next_room = 0, next_cost = kNever;
  size_t i = 0, j = 0;
  const auto take_next = [&] {
    while (i < here.devices.size() && used[here.devices[i]]) ++i;
    while (j < there.devices.size() &&
           (used[there.devices[j]] || problem_.devices[there.devices[j]].host == without))
      ++j;
    const double a = i < here.devices.size() ? here.cost[here.devices[i]] : kNever;
    const double b = j < there.devices.size() ? there.cost[there.devices[j]] : kNever;
    next_cost = std::min(a, b);
    next_room =
        next_cost == kNever ? kNever : room_[a <= b ? here.devices[i++] : there.devices[j++]];
  };
  take_next();
  for (int layer = cuts_.layers() - 1; layer >= 0; --layer) {
    const double work = work_after_[layer] - kSameWork;
    while (room + next_room < work) {
      room += next_room;
      cost += next_room * next_cost;
      take_next();
    }
    ms[layer] = cost + (work - room) * next_cost;
  }
}

void Bound::add_fixed(const std::vector<char>& used, std::vector<double>& ms) const {
  double room = 0, fixed = 0;
  size_t most = 0, least = 0;
  const auto next_unused = [&](const std::vector<int>& order, size_t& place) {
    while (place < order.size() && used[order[place]]) ++place;
    return place < order.size() ? order[place++] : -1;
  };
  for (int j = cuts_.layers() - 1; j >= 0; --j) {
    while (room < work_after_[j] - kSameWork) {
      const int widest = next_unused(by_room_, most), cheapest = next_unused(by_fixed_, least);
      if (widest < 0) break;
      room += room_[widest];
      fixed += fixed_ms_[cheapest];
    }
    ms[j] += fixed;
  }
}

void Bound::rest(const std::vector<char>& used, int host, std::vector<double>& rest) const {
  static const std::vector<int> kNone;
  constexpr int kNoHost = -1;
  fill(used, {on_host_[host], spread_}, {by_far_, spread_far_}, host, rest);
  counted_.resize(cuts_.layers());
  fill(used, {kNone, unit_ms_}, {by_unit_, unit_ms_}, kNoHost, counted_);
  add_fixed(used, counted_);
  for (int j = 0; j < cuts_.layers(); ++j) rest[j] = std::max(rest[j], counted_[j]);
  add_dearest(used, host, rest);
}

// The hop that comes on top of each host's way in, at least the way back to the head.
void Bound::add_dearest(const std::vector<char>& used, int host, std::vector<double>& rest) const {
  double room = 0, at_head = 0;  // without another host; of this, on the head's host
  for (const int device : on_host_[host])
    if (!used[device]) room += room_[device];
  for (const int device : on_host_[head_host_])
    if (!used[device]) at_head += room_[device];
  if (host != head_host_) room += at_head;
  const double back = into_[head_host_], stay = problem_.hops[head_host_][head_host_].ms;
  double dearest = out_takes_no_less_ ? std::max(back, out_of_[host]) : back;
  size_t next = 0;
  for (int j = cuts_.layers() - 1; j >= 0; --j) {
    const double work = work_after_[j] - kSameWork;
    const bool stays = host == head_host_ && work <= at_head + 2 * kSameWork;
    for (; out_takes_no_less_ && room < work && next < by_way_in_.size(); ++next) {
      const int device = by_way_in_[next], on = problem_.devices[device].host;
      if (used[device] || on == host || on == head_host_) continue;
      room += room_[device];
      dearest = std::max(dearest, into_[on]);
    }
    rest[j] += stays ? std::min(stay, back) : dearest;
  }
}

}  // namespace potluck
