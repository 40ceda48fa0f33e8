// Placement: a planner's answer: which device is the head, which devices run which layers, in ring
// order, and what that takes. It becomes a Plan whose endpoints are left to whoever knows the
// machines.
#pragma once

#include <optional>
#include <vector>

#include "topology/plan/plan.h"
#include "topology/plan/step_time.h"
#include "topology/planner/problem.h"

namespace potluck {

struct PlacedStage {
  int device = 0;
  LayerRange layers;
  bool operator==(const PlacedStage&) const = default;
};

struct Placement {
  int head = 0;  // device
  std::vector<PlacedStage> stages;
  bool operator==(const Placement&) const = default;
};

// The times of a placement, part by part.
RingTimes ring_times(const PlanProblem& problem, const Placement& placement);
double step_ms(const PlanProblem& problem, const Placement& placement);

// Devices, and each host's line out and in, are what a step keeps busy. The coordinator's few
// kilobytes are not counted.
double period_ms(const PlanProblem& problem, const Placement& placement);

// The bytes that a device gives to a placement; at most its memory_bytes in a planner's answer.
uint64_t bytes_on(const PlanProblem& problem, const Placement& placement, int device);
bool fits(const PlanProblem& problem, const Placement& placement);

// Workers are named as their devices, and a head that shares its device "NAME-head". Endpoints and
// keys are empty.
Plan plan_of(const PlanProblem& problem, const Placement& placement);

}  // namespace potluck
