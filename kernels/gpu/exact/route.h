// The router of the experts (shard/MODEL.md §2.4).
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

// A block takes kRouteRows rows: the grid is ⌈rows / kRouteRows⌉.
inline constexpr int kRouteRows = 4;
inline constexpr int kRouteExpertsMost = 256, kRouteUsedMost = 32;

// p[t,:] = softmax over all experts of W·(rms(x[t,:]) ⊙ scale · H^−½). expert[t,:] are the `used`
// greatest of p (of equal ones the lower index) in falling order, and weight[t,:] their p by their
// sum, times per_expert_scale.
struct Route {
  const float* x;                 // [rows, H], the raw residual
  const float* scale;             // [H]
  Weights projection;             // W: [experts, H]
  const float* per_expert_scale;  // [experts]
  int32_t* expert;                // [rows, used]
  float* weight;                  // [rows, used]
  int64_t rows;
  int32_t used;
  float eps;
};

}  // namespace potluck::gpu
