// Seeds and runs the exact search.
#include "topology/planner/planner.h"

#include "topology/planner/cuts.h"
#include "topology/planner/local_search.h"
#include "topology/planner/search.h"

namespace potluck {

PlanAnswer plan_latency(const PlanProblem& problem, const PlannerOptions& options) {
  const Cuts cuts(problem);
  SearchOptions searching;
  searching.budget = options.budget;
  if (options.warm_start)
    searching.incumbent =
        likely_order(cuts, [&](const Order& order) { return cuts.least_step_ms(order); });
  const SearchResult found = search(cuts, searching);
  PlanAnswer answer;
  answer.nodes = found.nodes;
  answer.proven = found.complete;
  answer.bound_ms = found.bound_ms;
  answer.objective_ms = found.step_ms;
  if (found.best) answer.placement = cuts.least_step(*found.best);
  return answer;
}

}  // namespace potluck
