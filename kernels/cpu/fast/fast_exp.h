// The exponential of the fast kernels, in f32 throughout, for loops that become vectors.
//
// All of it is inlined into functions that have a clone for each x86-64 level.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {

// e^r − 1 for |r| ≤ ln2/2, by its Taylor series to r^7 / 7!: truncation under 2⁻²⁷.
POTLUCK_INLINE float expm1_reduced(float r) {
  constexpr float kInverseFactorial[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120,
                                         1.0f / 24,   1.0f / 6,   0.5f};
  float sum = kInverseFactorial[0];
#pragma GCC unroll 5
  for (int i = 1; i < 6; ++i) sum = sum * r + kInverseFactorial[i];
  return r + r * r * sum;
}

// x = n·ln 2 + r, for −87.34 ≤ x ≤ 88.03: 2^n, and r.
POTLUCK_INLINE float power_of_two(float x, float* r) {
  constexpr float kLog2E = 1.4426950408889634f;
  constexpr float kHigh = 0x1.62e4p-1f;  // ln 2 with 15 bits: n·high is exact for |n| < 2^8
  constexpr float kLow = 0x1.7f7d1cp-20f, kMagic = 0x1.8p23f;
  const float rounded = x * kLog2E + kMagic, n = rounded - kMagic;
  *r = (x - n * kHigh) - n * kLow;
  const uint32_t power = std::bit_cast<uint32_t>(rounded) - std::bit_cast<uint32_t>(kMagic);
  return std::bit_cast<float>((power + 127) << 23);
}

POTLUCK_INLINE float fast_exp(float x) {
  float r;
  const float power = power_of_two(x < -87.33654f ? -87.33654f : x, &r);
  const float e = power + power * expm1_reduced(r);
  return x < -87.33654f ? 0.0f : e;
}

}  // namespace potluck::cpu
