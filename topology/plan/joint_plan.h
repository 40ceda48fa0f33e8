// A first plan over this machine and others that have come, for a model that does not fit this
// machine alone.
#pragma once

#include <cstdint>
#include <vector>

#include "topology/model/model_source.h"
#include "topology/plan/memory_partitioner.h"
#include "topology/plan/plan.h"
#include "topology/plan/remaining_plan.h"

namespace potluck {

struct OwnDevice {  // of this machine
  DeviceRoom room;
  double layer_ms = 0;  // of one layer in a step; 0: unknown
};

// The bytes that a plan as `frame` says takes on one device: the head, and a stage of all layers.
uint64_t whole_need(const ModelSource& source, const Plan& frame);

// frame: says all of a plan but who runs what. The head is here, for a guest never sees the text;
// layers go to this machine's devices and to the guests. Throws Fault{memory} if they do not fit
// all of these, or the head no device of this machine.
Plan joint_plan(const ModelSource& source, const Plan& frame, const std::vector<OwnDevice>& own,
                const std::vector<Candidate>& guests);

}  // namespace potluck
