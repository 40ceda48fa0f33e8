// Search: exact branch and bound over the orders of devices around a ring, depth first, the child
// with the least bound first. A node is an order so far; beside it go the least times of all its
// cuts, so that cuts are never branched on. Of two nodes with the same devices and the same last
// one, only those cuts go on that the earlier node has not reached as soon.
#pragma once

#include <cstdint>
#include <optional>

#include "topology/planner/cuts.h"
#include "topology/planner/planner.h"

namespace potluck {

struct SearchOptions {
  Budget budget;
  bool first_found = false;        // the first ring that fits is enough
  std::optional<Order> incumbent;  // an order to beat, if its cuts fit
};

struct SearchResult {
  std::optional<Order> best;
  double step_ms = kNever;   // of the best
  double bound_ms = kNever;  // no ring takes less; step_ms where the search is complete
  bool complete = false;
  uint64_t nodes = 0;
};

// The order whose best cuts take the least step_ms among rings within the cuts' longest period.
SearchResult search(const Cuts& cuts, const SearchOptions& options);

}  // namespace potluck
