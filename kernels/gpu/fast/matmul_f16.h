// Products with a stored matrix, both rounded to f16, with sums in f32.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

// A block takes kMatmulF16Rows rows of x and kMatmulF16Outputs outputs: the grid is
// ⌈w.rows / kMatmulF16Outputs⌉ × ⌈rows / kMatmulF16Rows⌉.
inline constexpr int kMatmulF16Rows = 64, kMatmulF16Outputs = 128;

// out[t, o] = scale[t] · Σ_i x[t, i] · w[o, i].  x: [rows, f16_stride(w.columns)] and scale: [rows]
// as F16Rows leaves them, out: [rows, w.rows].
struct MatmulF16 {
  const uint16_t* x;
  const float* scale;
  Weights w;
  float* out;
  int64_t rows;
};

}  // namespace potluck::gpu
