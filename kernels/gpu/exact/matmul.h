// Products with a stored matrix, in f32.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

// A block takes kMatmulRows rows of x and kMatmulOutputs outputs: the grid is
// ⌈w.rows / kMatmulOutputs⌉ × ⌈rows / kMatmulRows⌉.
inline constexpr int kMatmulRows = 64, kMatmulOutputs = 64;

// out[t, o] = Σ_i x[t, i] · w[o, i].  x: [rows, w.columns], out: [rows, w.rows].
struct Matmul {
  const float* x;
  Weights w;
  float* out;
  int64_t rows;
};

}  // namespace potluck::gpu
