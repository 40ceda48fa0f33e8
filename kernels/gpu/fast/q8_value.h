// How a warp rounds 32 values to int8.
#pragma once

#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/fast/q8_rows.h"

namespace potluck::gpu {

// Each lane stores the level of its value at q, the first lane the scale of all. A scale has 12
// bits, so that its product with 1.5 · 2²³ is exact (kernels/gpu/fast/panel_tile.h), and with the
// sum of levels too.
GPU_DEVICE void store_q8(float value, int8_t* q, Q8Scale* scale) {
  const float most = warp_max(value < 0 ? -value : value);
  const bool counts = most >= 1e-30f;
  const float d = counts ? float_of((bits_of(most / 127) + 0xfff) & ~0xfffu) : 0.0f;
  const float level = counts ? round_to_even(value / d) : 0.0f;
  *q = static_cast<int>(level);
  const float sum = d * warp_sum(level);
  if (lane() == 0) *scale = {d, sum};
}

}  // namespace potluck::gpu
