// Whether a plan can run a model at all.
#pragma once

#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"

namespace potluck {

// Throws Fault{input} naming the worker and the value: gaps, overlaps, unknown dtypes and devices,
// duplicate names or endpoints, sizes past their limits.
void validate(const Plan& plan, const ModelSpec& spec);

// Whether it is "cpu", "cuda:N" or "hip:N"; or one of the emulated cards, which a program of the
// tests has.
bool is_device(const std::string& device);

}  // namespace potluck
