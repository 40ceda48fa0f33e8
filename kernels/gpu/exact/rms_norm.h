// RMS norm (shard/MODEL.md §2.1).
#pragma once

#include <cstdint>

namespace potluck::gpu {

// out[t,:] = x[t,:] / rms(x[t,:]) ⊙ weight, [rows, n]; weight [n] or nullptr. out may be x. A block
// takes a row.
struct RmsNorm {
  const float* x;
  const float* weight;
  float* out;
  int64_t n;
  float eps;
};

}  // namespace potluck::gpu
