// The gated activation of an MLP (shard/MODEL.md §2.3).
#pragma once

#include <cstdint>

namespace potluck::gpu {

// out[i] = gelu(gate[i]) · up[i], i < count; out may be gate. A block takes kGeluMulValues: the
// grid is ⌈count / kGeluMulValues⌉.
inline constexpr int kGeluMulValues = 256;

struct GeluMul {
  const float* gate;
  const float* up;
  float* out;
  int64_t count;
};

}  // namespace potluck::gpu
