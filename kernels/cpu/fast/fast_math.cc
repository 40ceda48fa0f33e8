// Loops over fast_exp.h, with a clone for each x86-64 level.
#include "kernels/cpu/fast/fast_math.h"

#include <cmath>

#include "kernels/cpu/fast/fast_exp.h"

namespace potluck::cpu {
namespace {

// tanh |v| = −m / (m + 2) with m = e^(−2|v|) − 1, which nothing cancels; `y` = −2|v|.
POTLUCK_INLINE float fast_tanh_of(float y) {
  float r;
  const float power = power_of_two(y < -20.0f ? -20.0f : y, &r);
  const float m = (power - 1.0f) + power * expm1_reduced(r);
  return -m / (m + 2.0f);
}

}  // namespace

POTLUCK_CLONES void fast_exps(float* x, int64_t n, float shift) {
  for (int64_t i = 0; i < n; ++i) x[i] = fast_exp(x[i] - shift);
}

POTLUCK_CLONES void fast_softcaps(float* x, int64_t n, float cap) {
  for (int64_t i = 0; i < n; ++i)
    x[i] = std::copysign(cap * fast_tanh_of(-2.0f * std::fabs(x[i] / cap)), x[i]);
}

}  // namespace potluck::cpu
