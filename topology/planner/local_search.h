// Local search over orders of devices: it leaves a device out, takes another in, exchanges or moves
// one, or moves the head, as long as that makes the ring better.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "topology/planner/cuts.h"

namespace potluck {

using OrderCost = std::function<double(const Order&)>;  // kNever: it does not fit

// Goes from one order to a better one until no single change helps.
Order improved(const PlanProblem& problem, Order order, const OrderCost& cost);

// The best order that local search finds from the plain rules' placements and from the fastest
// devices that hold the model around each likely head. Nothing if none of them fits.
std::optional<Order> likely_order(const Cuts& cuts, const OrderCost& cost);

}  // namespace potluck
