// RMS norm: a row's squares are summed in lanes, then the row is scaled.
#include "kernels/cpu/reference/rms_norm.h"

#include <cmath>

#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/elementwise.h"
#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {

POTLUCK_CLONES float inverse_rms(const float* x, int64_t n, float eps) {
  Lanes sum = {};
  each_lanes(
      n, [&](int64_t i, const auto& load) __attribute__((always_inline)) {
        Lanes lanes;
        load(x + i, lanes);
        sum += lanes * lanes;
      });
  return 1.0f / std::sqrt(sum_lanes(sum) / n + eps);
}

void rms_norm_row(const float* x, const float* weight, float eps, int64_t n, float* out) {
  scale_row(x, inverse_rms(x, n, eps), weight, n, out);
}

void rms_norm(const RmsNorm& a, int64_t rows, int64_t n, float* out, ThreadPool& pool) {
  each_row(rows, pool,
           [&](int64_t t, int) { rms_norm_row(a.x + t * n, a.weight, a.eps, n, out + t * n); });
}

}  // namespace potluck::cpu
