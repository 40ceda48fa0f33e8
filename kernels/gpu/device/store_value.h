// Rounds values to the plain types of caches and hops and stores them.
#pragma once

#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

// As the host rounds, NaN included, which cards round to different bits.
GPU_DEVICE uint16_t f16_of(float x) {
  return x != x ? (bits_of(x) >> 16 & 0x8000u) | 0x7e00u : float_to_f16(x);
}

// Value i of the row of f32, bf16 or f16 at `to` becomes x.
GPU_DEVICE void store_value(Stored type, float x, void* to, int64_t i) {
  if (type == Stored::f32)
    as<float>(to)[i] = x;
  else
    as<uint16_t>(to)[i] = type == Stored::bf16 ? float_to_bf16(x) : f16_of(x);
}

}  // namespace potluck::gpu
