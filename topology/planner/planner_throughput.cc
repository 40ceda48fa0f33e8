// The least period: rings are sought within shorter and shorter ones, until there are none.
#include <algorithm>
#include <cmath>

#include "topology/planner/bound.h"
#include "topology/planner/cuts.h"
#include "topology/planner/local_search.h"
#include "topology/planner/planner.h"
#include "topology/planner/search.h"
#include "topology/planner/symmetry.h"

namespace potluck {
namespace {

// Between orders of one period the shorter step counts, a little.
constexpr double kStepWeight = 1e-4;
// A search for a ring within one period takes this share of the budget at most.
constexpr int kShares = 8;
// So many times the span of possible periods is halved, before the best is tried to be beaten.
constexpr int kHalvings = 8;

Budget what_is_left(const Budget& budget, uint64_t nodes, Time begin, int shares) {
  Budget left{(budget.nodes - std::min(budget.nodes, nodes)) / shares, std::nullopt};
  if (budget.time) left.time = std::max(Duration(0), *budget.time - (now() - begin)) / shares;
  return left;
}

class LeastPeriod {
 public:
  LeastPeriod(const PlanProblem& problem, const PlannerOptions& options)
      : problem_(problem), options_(options), begin_(now()), free_(problem) {}

  PlanAnswer run() {
    if (options_.warm_start) begin_with_local_search();
    if (!best_) take_any();
    if (best_) {
      find_floor();
      halve();
      while (!proven_ && !given_up_) beat();
    }
    return answer();
  }

 private:
  double cost(const Order& order) const {
    const double period = free_.least_period_ms(order);
    return period == kNever ? kNever : period + kStepWeight * free_.least_step_ms(order);
  }
  void take(const Order& order) {
    const double period = free_.least_period_ms(order);
    if (period >= period_) return;
    best_ = order;
    period_ = period;
  }

  void begin_with_local_search() {
    const auto likely = likely_order(free_, [&](const Order& order) { return cost(order); });
    if (likely) take(*likely);
  }

  // Whether there is a ring of at most this period, as far as the budget lets one see. A ring that
  // is found is made better where that is easy.
  enum class Seen { found, none, unknown };
  Seen look_for(double period, int shares) {
    const Cuts cuts(problem_, period);
    SearchOptions options;
    options.first_found = true;
    options.budget = what_is_left(options_.budget, nodes_, begin_, shares);
    const SearchResult result = search(cuts, options);
    nodes_ += result.nodes;
    if (!result.best) return result.complete ? Seen::none : Seen::unknown;
    take(*result.best);
    if (options_.warm_start)
      take(improved(problem_, *result.best, [&](const Order& order) { return cost(order); }));
    return Seen::found;
  }

  void take_any() { proven_none_ = look_for(kNever, 1) == Seen::none; }

  // Halves the span as long as the bound alone, without a search, says that there is no ring.
  void find_floor() {
    const auto is_possible = [&](double period) {
      const Cuts cuts(problem_, period);
      const std::vector<int> heads = unlike_heads(problem_);
      return std::any_of(heads.begin(), heads.end(), [&](int head) {
        std::vector<double> rest(cuts.layers());
        if (cuts.head_ms(head) == kNever) return false;
        Bound(cuts, head)
            .rest(std::vector<char>(problem_.devices.size()), problem_.devices[head].host, rest);
        return rest[0] != kNever;
      });
    };
    double possible = period_;
    for (int i = 0; i < 20; ++i) {
      const double middle = (floor_ + possible) / 2;
      (is_possible(middle) ? possible : floor_) = middle;
    }
  }

  void halve() {
    double low = floor_;
    for (int i = 0; i < kHalvings && period_ - low > 1e-3 * period_; ++i) {
      const double middle = (low + period_) / 2;
      const Seen seen = look_for(middle, kShares);
      if (seen != Seen::found) low = middle;
      if (seen == Seen::none) floor_ = middle;
    }
  }

  void beat() {
    const Seen seen = look_for(period_ - 4 * kSameMs, 2);
    proven_ = seen == Seen::none;
    given_up_ = seen == Seen::unknown;
    if (proven_) floor_ = period_;
  }

  // The shortest step within the least period.
  PlanAnswer answer() {
    PlanAnswer answer;
    answer.proven = proven_ || proven_none_;
    if (best_) {
      const Cuts cuts(problem_, period_);
      SearchOptions options;
      options.incumbent = best_;
      options.budget = what_is_left(options_.budget, nodes_, begin_, 1);
      const SearchResult result = search(cuts, options);
      nodes_ += result.nodes;
      answer.placement = cuts.least_step(*result.best);
      answer.objective_ms = period_ms(problem_, *answer.placement);
      answer.bound_ms = std::min(floor_, answer.objective_ms);
    }
    answer.nodes = nodes_;
    return answer;
  }

  const PlanProblem& problem_;
  const PlannerOptions& options_;
  const Time begin_;
  const Cuts free_;  // without a longest period
  std::optional<Order> best_;
  double period_ = kNever, floor_ = 0;  // of the best; no ring has a shorter one
  bool proven_ = false, given_up_ = false, proven_none_ = false;
  uint64_t nodes_ = 0;
};

}  // namespace

PlanAnswer plan_throughput(const PlanProblem& problem, const PlannerOptions& options) {
  return LeastPeriod(problem, options).run();
}

std::vector<ParetoPoint> plan_pareto(const PlanProblem& problem, const PlannerOptions& options) {
  std::vector<ParetoPoint> front;
  const Time begin = now();
  uint64_t nodes = 0;
  double period_max = kNever;
  const PlanAnswer least =
      plan_throughput(problem, {what_is_left(options.budget, nodes, begin, 2), options.warm_start});
  nodes += least.nodes;
  if (!least.placement) return front;
  while (true) {
    const Cuts cuts(problem, period_max);
    SearchOptions searching;
    searching.budget = what_is_left(options.budget, nodes, begin, 4);
    searching.incumbent =
        likely_order(cuts, [&](const Order& order) { return cuts.least_step_ms(order); });
    if (!searching.incumbent) searching.incumbent = order_of(*least.placement);
    const SearchResult found = search(cuts, searching);
    nodes += found.nodes;
    if (!found.best) break;
    const Placement placement = *cuts.least_step(*found.best);
    const double period = period_ms(problem, placement);
    front.push_back({placement, found.step_ms, period, found.complete});
    period_max = period * (1 - kFrontStep);
  }
  return front;
}

}  // namespace potluck
