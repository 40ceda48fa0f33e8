// The YAML form of a Plan: `version: 1`, every key known or refused with its line.
#pragma once

#include <string>

#include "topology/plan.h"

namespace potluck {

// name: what messages call it ("cluster.yaml"). Throws Fault{input, …, "cluster.yaml:14"}.
Plan parse_plan(const std::string& yaml, const std::string& name);
Plan read_plan(const std::string& path);
std::string plan_yaml(const Plan& plan);

}  // namespace potluck
