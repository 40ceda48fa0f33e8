// The trade between the speed of one answer and of many at once, as a table and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "topology/planner/planner.h"

namespace potluck {

// canvas: the tokens of one.
std::string front_text(const PlanProblem& problem, const std::vector<ParetoPoint>& front,
                       int canvas);
nlohmann::json front_json(const PlanProblem& problem, const std::vector<ParetoPoint>& front,
                          int canvas);

}  // namespace potluck
