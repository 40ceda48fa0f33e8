// Whether a plan can run a model at all.
#pragma once

#include <map>
#include <string>

#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"

namespace potluck {

// Where the parts of a plan are written: "head", "stage 0", "stages", "context"; "" is the whole.
using PlanPlaces = std::map<std::string, std::string>;

// Throws Fault{input} naming the worker and the value: gaps, overlaps, unknown dtypes and devices,
// duplicate names or endpoints, sizes past their limits; at its part's place, if there are any.
void validate(const Plan& plan, const ModelSpec& spec, const PlanPlaces& places = {});

// Whether it is "cpu", "cuda:N" or "hip:N"; or one of the emulated cards, which a program of the
// tests has.
bool is_device(const std::string& device);

}  // namespace potluck
