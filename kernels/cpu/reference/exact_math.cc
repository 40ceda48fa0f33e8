// Series and exact splits whose every rounding is the same on every machine.
#include "kernels/cpu/reference/exact_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {
namespace {

constexpr double kLn2High =
    0x1.62e42fefa38p-1;  // ln 2 with 42 bits: n·high is exact for |n| < 2^11
constexpr double kLn2Low = 0x1.ef35793c7673p-45;
constexpr double kLog2E = 1.4426950408889634;
constexpr double kRoundMagic = 0x1.8p52;  // x + magic − magic rounds |x| < 2^51 to nearest even

// e^r for |r| ≤ ln2/2 by its Taylor series to r^13 / 13!: truncation under 2⁻⁵⁴.
POTLUCK_INLINE double exp_reduced(double r) {
  constexpr double kInverseFactorial[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
      1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
  double sum = kInverseFactorial[0];
#pragma GCC unroll 12
  for (int i = 1; i < 12; ++i) sum = sum * r + kInverseFactorial[i];
  return 1.0 + (r + r * r * sum);
}

// e^x for −708.39… ≤ x < 709.78…. The sum with the magic number holds n in its low bits as well: no
// conversion, so that loops over this become vectors.
POTLUCK_INLINE double exp_within(double x) {
  const double rounded = x * kLog2E + kRoundMagic, n = rounded - kRoundMagic;
  const double r = (x - n * kLn2High) - n * kLn2Low;
  const uint64_t power = std::bit_cast<uint64_t>(rounded) - std::bit_cast<uint64_t>(kRoundMagic);
  return exp_reduced(r) * 0.5 * std::bit_cast<double>((power + 1 + 1023) << 52);
}

POTLUCK_INLINE float exp_f32(float x) {
  const double within = x < 89.0f ? x : 89.0;  // e^89 is +inf in f32
  const auto e = exp_within(within > -88.0 ? within : -88.0);
  return x < -87.33654f ? 0.0f : x != x ? x : e;
}

// tanh x = (e^2x − 1)/(e^2x + 1) in double; near 0 its odd series, where the difference would
// cancel.
POTLUCK_INLINE float tanh_f32(float x) {
  const double v = x < -10 ? -10.0 : x > 10 ? 10.0 : x;
  const double s = v * v, e = exp_within(2 * v);
  const double series =
      v * (1 + s * (-1.0 / 3 + s * (2.0 / 15 + s * (-17.0 / 315 + s * (62.0 / 2835)))));
  const float within = s < 1e-3 ? series : (e - 1) / (e + 1);
  return x > 10 ? 1.0f : x < -10 ? -1.0f : within;
}

}  // namespace

double exact_exp(double x) {
  if (!(x < 709.782712893384)) return x != x ? x : std::numeric_limits<double>::infinity();
  if (x < -708.3964185322641) return 0.0;  // results below the least normal are taken as 0
  return exp_within(x);
}

float exact_exp(float x) {
  return exp_f32(x);
}

float exact_tanh(float x) {
  return tanh_f32(x);
}

POTLUCK_CLONES void exact_exps(float* x, int64_t n, float shift) {
  for (int64_t i = 0; i < n; ++i) x[i] = exp_f32(x[i] - shift);
}

POTLUCK_CLONES void exact_softcaps(float* x, int64_t n, float cap) {
  for (int64_t i = 0; i < n; ++i) x[i] = cap * tanh_f32(x[i] / cap);
}

// x = 2^k·m with m in [√½, √2); ln m = 2·atanh(t), t = (m − 1)/(m + 1), |t| < 0.1716: series to
// t^21.
double exact_log(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  int64_t k = (bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++k;
  }
  const double t = (m - 1) / (m + 1), s = t * t;
  double sum = 1.0 / 23;
  for (int odd = 21; odd >= 3; odd -= 2) sum = sum * s + 1.0 / odd;
  const double n = k;
  return n * kLn2High + (2 * t + (2 * t * s * sum + n * kLn2Low));
}

namespace {

// angle = n·π/2 + r by a two-part π/2 (33 bits high: n·high is exact for |n| < 2^20); series in r.
POTLUCK_INLINE void sincos_within(double angle, double* sine, double* cosine) {
  constexpr double kHalfPiHigh = 0x1.921fb544p+0;
  constexpr double kHalfPiLow = 0x1.0b4611a626331p-34;
  constexpr double kTwoOverPi = 0.63661977236758134;
  const double rounded = angle * kTwoOverPi + kRoundMagic, n = rounded - kRoundMagic;
  const double r = (angle - n * kHalfPiHigh) - n * kHalfPiLow, q = r * r;
  double s = -1.0 / 1307674368000, c = 1.0 / 20922789888000;
  constexpr double kSine[] = {1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880,
                              -1.0 / 5040,      1.0 / 120,       -1.0 / 6};
  constexpr double kCosine[] = {
      -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -0.5};
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) s = s * q + kSine[i];
#pragma GCC unroll 7
  for (int i = 0; i < 7; ++i) c = c * q + kCosine[i];
  const double sin_r = r + r * q * s, cos_r = 1 + q * c;
  const uint64_t quadrant = std::bit_cast<uint64_t>(rounded);  // its low bits
  const bool odd = quadrant & 1;
  const double a = odd ? cos_r : sin_r, b = odd ? sin_r : cos_r;
  *sine = quadrant & 2 ? -a : a;
  *cosine = (quadrant + 1) & 2 ? -b : b;
}

}  // namespace

void exact_sincos(double angle, double* sine, double* cosine) {
  sincos_within(angle, sine, cosine);
}

POTLUCK_CLONES void exact_sincos(const double* angle, int64_t n, double* sine, double* cosine) {
  for (int64_t i = 0; i < n; ++i) sincos_within(angle[i], sine + i, cosine + i);
}

}  // namespace potluck::cpu
