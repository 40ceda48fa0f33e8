// exp, tanh, log, sin and cos of our own, what is built from them, and roundings to 16 bits: device
// code has no libm. Errors are within the ulps that are stated, over the ranges that are stated;
// tests/kernels/gpu/math_test.cc measures them.
#pragma once

#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kLn2High = 0x1.62e4p-1f;  // 15 bits: n·high is exact for |n| < 2^9
inline constexpr float kLn2Low = 0x1.7f7d1cp-20f;
inline constexpr double kLn2HighDouble = 0x1.62e42fefa38p-1;  // 42 bits: exact for |n| < 2^11
inline constexpr double kLn2LowDouble = 0x1.ef35793c7673p-45;
inline constexpr double kRoundMagic = 0x1.8p52;  // x + magic − magic is |x| < 2^51 rounded to even

GPU_DEVICE float infinity() {
  return float_of(0x7f800000u);
}
GPU_DEVICE float power_of_two(int exponent) {  // −126 ≤ exponent ≤ 127
  return float_of((exponent + 127u) << 23);
}

// x = n·ln 2 + r with |r| ≤ ln 2 / 2, for |x| ≤ 90; minus_one is e^r − 1 by its Taylor series to
// r^8 / 8!, whose rest is below 2⁻²⁸ of r.
struct Reduced {
  int n;
  float minus_one;
};
GPU_DEVICE Reduced reduce_exp(float x) {
  const float n = round_to_even(x * kLog2E);
  const float r = fma(n, -kLn2Low, fma(n, -kLn2High, x));
  float sum = 1.0f / 40320;
  sum = fma(sum, r, 1.0f / 5040);
  sum = fma(sum, r, 1.0f / 720);
  sum = fma(sum, r, 1.0f / 120);
  sum = fma(sum, r, 1.0f / 24);
  sum = fma(sum, r, 1.0f / 6);
  sum = fma(sum, r, 0.5f);
  const int whole = n;
  return {whole, fma(r * r, sum, r)};
}

// 2 ulp; 0 below −87.3…, +inf above 88.7…; NaN stays NaN.
GPU_DEVICE float exp(float x) {
  const float low = x > -88.0f ? x : -88.0f, within = low < 89.0f ? low : 89.0f;
  const Reduced e = reduce_exp(within);
  const int half = e.n / 2;
  const float value = (1.0f + e.minus_one) * power_of_two(half) * power_of_two(e.n - half);
  return x != x ? x : x < -87.33654f ? 0.0f : value;
}

// 3 ulp. tanh |x| = −m / (m + 2) with m = e^(−2|x|) − 1, in which nothing cancels.
GPU_DEVICE float tanh(float x) {
  const float size = x < 0 ? -x : x;
  const Reduced e = reduce_exp(size < 20.0f ? -2 * size : -40.0f);
  const float power = power_of_two(e.n), m = fma(power, e.minus_one, power - 1.0f);
  const float value = -m / (m + 2.0f);
  return x != x || x == 0 ? x : x < 0 ? -value : value;
}

// 3 ulp; x > 0 and no subnormal. x = 2^k·m with m in [√½, √2); ln m = 2·atanh(t) with
// t = (m − 1) / (m + 1), |t| < 0.1716: series to t^11.
GPU_DEVICE float log(float x) {
  const uint32_t bits = bits_of(x);
  int k = (bits >> 23) - 127;
  float m = float_of((bits & 0x7fffffu) | 0x3f800000u);
  if (m > 1.41421354f) {
    m *= 0.5f;
    ++k;
  }
  const float t = (m - 1) / (m + 1), s = t * t;
  float sum = 2.0f / 11;
  sum = fma(sum, s, 2.0f / 9);
  sum = fma(sum, s, 2.0f / 7);
  sum = fma(sum, s, 2.0f / 5);
  sum = fma(sum, s, 2.0f / 3);
  const float n = k;
  return fma(n, kLn2High, fma(n, kLn2Low, fma(t * s, sum, 2 * t)));
}

// 4 ulp; x > 0 and no subnormal. The series is log(float)'s, to t^23.
GPU_DEVICE double log(double x) {
  const uint64_t bits = bits_of(x);
  int k = (bits >> 52) - 1023;
  double m = double_of((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  const double t = (m - 1) / (m + 1), s = t * t;
  double sum = 1.0 / 23;
  GPU_UNROLL
  for (int odd = 21; odd >= 3; odd -= 2) sum = sum * s + 1.0 / odd;
  const double n = k;
  return n * kLn2HighDouble + (2 * t + (2 * t * s * sum + n * kLn2LowDouble));
}

// 4 ulp; 0 where the result would be subnormal, +inf above 709.78…; NaN stays NaN. e^r is a Taylor
// series to r^13 / 13!. The sum with the magic number holds n in its low bits as well.
GPU_DEVICE double exp(double x) {
  if (x != x) return x;
  if (x > 709.782712893384) return infinity();
  if (x < -708.3964185322641) return 0.0;
  const double rounded = x * 1.4426950408889634 + kRoundMagic, n = rounded - kRoundMagic;
  const double r = (x - n * kLn2HighDouble) - n * kLn2LowDouble;
  constexpr double kInverseFactorial[] = {
      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
      1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
  double sum = 1.0 / 6227020800;
  GPU_UNROLL
  for (int i = 0; i < 11; ++i) sum = sum * r + kInverseFactorial[i];
  const uint64_t power = bits_of(rounded) - bits_of(kRoundMagic);
  return (1.0 + (r + r * r * sum)) * 0.5 * double_of((power + 1 + 1023) << 52);
}

struct SineCosine {
  double sine, cosine;
};

// Absolute errors are below 1e-12 for |angle| ≤ 2^20 radians. angle = n·π/2 + r by a π/2 in two
// parts, of which the high one has 33 bits: n·high is exact for |n| < 2^20.
GPU_DEVICE SineCosine sine_cosine(double angle) {
  const double rounded = angle * 0.63661977236758134 + kRoundMagic, n = rounded - kRoundMagic;
  const double r = (angle - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34, q = r * r;
  constexpr double kSine[] = {1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880,
                              -1.0 / 5040,      1.0 / 120,       -1.0 / 6};
  constexpr double kCosine[] = {
      -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -0.5};
  double s = -1.0 / 1307674368000, c = 1.0 / 20922789888000;
  GPU_UNROLL
  for (int i = 0; i < 6; ++i) s = s * q + kSine[i];
  GPU_UNROLL
  for (int i = 0; i < 7; ++i) c = c * q + kCosine[i];
  const double sin_r = r + r * q * s, cos_r = 1 + q * c;
  const uint64_t quadrant = bits_of(rounded);  // its low bits
  const double a = quadrant & 1 ? cos_r : sin_r, b = quadrant & 1 ? sin_r : cos_r;
  return {quadrant & 2 ? -a : a, (quadrant + 1) & 2 ? -b : b};
}

// cap · tanh(x / cap)
GPU_DEVICE float softcap(float x, float cap) {
  return cap * tanh(x / cap);
}

// gelu(x) = x/2 · (1 + tanh v) with v = √(2/π)·(x + 0.044715·x³), as x / (1 + e^(−2v)), in which
// nothing cancels. The error is at most 5·2⁻²⁴ of x.
GPU_DEVICE float gelu(float x) {
  const float v = 0.7978845608f * (x + 0.044715f * x * x * x);
  return x / (1.0f + exp(-2 * v));
}

// bf16 is the upper half of an f32; rounding is to nearest, ties to even; NaN stays NaN.
GPU_DEVICE uint16_t float_to_bf16(float x) {
  const uint32_t bits = bits_of(x);
  return (x != x ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
}
GPU_DEVICE float bf16_to_float(uint16_t bits) {
  return float_of(uint32_t{bits} << 16);
}

// x rounded to a stream's type: f32 (unchanged), bf16 or f16.
GPU_DEVICE float round_to(Stored type, float x) {
  if (type == Stored::bf16) return bf16_to_float(float_to_bf16(x));
  if (type == Stored::f16) return f16_to_float(float_to_f16(x));
  return x;
}

}  // namespace potluck::gpu
