// All that `potluck plan` has to say of a cluster, as text for people and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cluster/planning/choices.h"
#include "topology/cluster/cluster_spec.h"
#include "topology/planner/planner.h"

namespace potluck {

struct PlanReport {
  ClusterSpec cluster;  // with what-ifs and assumed figures
  std::string model;    // the model's name
  int canvas = 0;       // tokens of one
  Objective objective;
  PlanProblem problem;
  PlanAnswer answer;
  std::vector<Choice> alone, rejected, improved;
  std::vector<std::string> left_out;
  std::vector<std::string> what_ifs;
  std::optional<double> before_ms;  // the objective's, without the what-ifs; none: nothing fitted
  const Placement& plan() const { return *answer.placement; }
};

// Figures of the plan that nobody has measured or stated: "speed of desk, nas", "link desk to nas".
std::vector<std::string> assumed_parts(const PlanReport& report);

std::string plan_text(const PlanReport& report);
nlohmann::json plan_json(const PlanReport& report);

}  // namespace potluck
