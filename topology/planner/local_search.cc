// Tries single changes of an order, each until nothing helps.
#include "topology/planner/local_search.h"

#include <algorithm>
#include <numeric>

#include "topology/planner/baselines.h"
#include "topology/planner/symmetry.h"

namespace potluck {
namespace {

constexpr size_t kHeadsTried = 4;

class Improver {
 public:
  Improver(const PlanProblem& problem, Order order, const OrderCost& cost)
      : problem_(problem), order_(std::move(order)), cost_(cost), ms_(cost(order_)) {}

  Order run() {
    while (leave_out() || exchange() || take_in() || move() || move_head()) continue;
    return order_;
  }

 private:
  bool take(const Order& candidate) {
    const double ms = cost_(candidate);
    if (ms >= ms_ - kSameMs) return false;
    order_ = candidate;
    ms_ = ms;
    return true;
  }
  std::vector<int> unused() const {
    std::vector<int> left;
    for (int i = 0; i < static_cast<int>(problem_.devices.size()); ++i)
      if (problem_.devices[i].may_hold_layers &&
          std::find(order_.devices.begin(), order_.devices.end(), i) == order_.devices.end())
        left.push_back(i);
    return left;
  }
  bool leave_out() {
    for (size_t i = 0; order_.devices.size() > 1 && i < order_.devices.size(); ++i) {
      Order candidate = order_;
      candidate.devices.erase(candidate.devices.begin() + i);
      if (take(candidate)) return true;
    }
    return false;
  }
  bool exchange() {
    for (const int device : unused())
      for (size_t i = 0; i < order_.devices.size(); ++i) {
        Order candidate = order_;
        candidate.devices[i] = device;
        if (take(candidate)) return true;
      }
    return false;
  }
  bool take_in() {
    for (const int device : unused())
      for (size_t i = 0; i <= order_.devices.size(); ++i) {
        Order candidate = order_;
        candidate.devices.insert(candidate.devices.begin() + i, device);
        if (take(candidate)) return true;
      }
    return false;
  }
  bool move() {
    for (size_t from = 0; from < order_.devices.size(); ++from)
      for (size_t to = 0; to < order_.devices.size(); ++to) {
        Order candidate = order_;
        candidate.devices.erase(candidate.devices.begin() + from);
        candidate.devices.insert(candidate.devices.begin() + to, order_.devices[from]);
        if (to != from && take(candidate)) return true;
      }
    return false;
  }
  bool move_head() {
    for (int head = 0; head < static_cast<int>(problem_.devices.size()); ++head)
      if (problem_.devices[head].may_be_head && take({head, order_.devices})) return true;
    return false;
  }

  const PlanProblem& problem_;
  Order order_;
  const OrderCost& cost_;
  double ms_;
};

double mean_layer_ms(const PlanDevice& device) {
  return std::accumulate(device.layer_ms.begin(), device.layer_ms.end(), 0.0) /
         device.layer_ms.size();
}

// The fastest devices, until they hold the model.
Order fastest(const Cuts& cuts, int head, const OrderCost& cost) {
  const std::vector<PlanDevice>& devices = cuts.problem().devices;
  std::vector<int> holders;
  for (int i = 0; i < static_cast<int>(devices.size()); ++i)
    if (devices[i].may_hold_layers) holders.push_back(i);
  std::stable_sort(holders.begin(), holders.end(), [&](int a, int b) {
    return mean_layer_ms(devices[a]) < mean_layer_ms(devices[b]);
  });
  Order order{head, {}};
  for (const int device : holders) {
    order.devices.push_back(device);
    if (cost(order) != kNever) break;
  }
  return order;
}

std::vector<int> likely_heads(const Cuts& cuts) {
  std::vector<int> heads = unlike_heads(cuts.problem());
  std::stable_sort(heads.begin(), heads.end(),
                   [&](int a, int b) { return cuts.head_ms(a) < cuts.head_ms(b); });
  if (heads.size() > kHeadsTried) heads.resize(kHeadsTried);
  return heads;
}

}  // namespace

Order improved(const PlanProblem& problem, Order order, const OrderCost& cost) {
  return Improver(problem, std::move(order), cost).run();
}

std::optional<Order> likely_order(const Cuts& cuts, const OrderCost& cost) {
  std::vector<Order> starts;
  for (const auto& placement : {place_evenly(cuts.problem()), place_by_memory(cuts.problem())})
    if (placement) starts.push_back(order_of(*placement));
  for (const int head : likely_heads(cuts)) starts.push_back(fastest(cuts, head, cost));
  std::optional<Order> best;
  for (Order& start : starts) {
    const Order order = improved(cuts.problem(), std::move(start), cost);
    const double ms = cost(order);
    if (ms != kNever && (!best || ms < cost(*best))) best = order;
  }
  return best;
}

}  // namespace potluck
