// Counts the layers that a device could carry of a model by its memory, whatever its speed.
#pragma once

#include "topology/model/model_source.h"
#include "topology/plan/memory_partitioner.h"

namespace potluck {

struct Carried {
  int layers = 0;              // without the head
  int layers_beside_head = 0;  // -1: not even the head alone
};

// In a ring of the plan's default context. The layers are the model's first ones.
Carried carried_by(const DeviceRoom& room, const ModelSource& source);

// The model that doctor speaks of where it is given none: the released one, in a quantizer's
// "Q4_K_M" or "Q8_0", with made-up weights.
inline constexpr char kReleasedQ4[] = "synthetic:released?type=q4_k&head_type=q6_k";
inline constexpr char kReleasedQ8[] = "synthetic:released?type=q8_0";

}  // namespace potluck
