// Rows are scaled and added 16 lanes at a time.
#include "kernels/cpu/reference/elementwise.h"

#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {

POTLUCK_CLONES void scale_row(const float* x, float scale, const float* weight, int64_t n,
                              float* out) {
  set_lanes(
      n, out, [&](int64_t i, const auto& load, Lanes& lanes) __attribute__((always_inline)) {
        load(x + i, lanes);
        lanes *= scale;
        if (!weight) return;
        Lanes w;
        load(weight + i, w);
        lanes *= w;
      });
}

POTLUCK_CLONES void add_row(const float* a, const float* b, int64_t n, float* out) {
  set_lanes(
      n, out, [&](int64_t i, const auto& load, Lanes& sum) __attribute__((always_inline)) {
        Lanes other;
        load(a + i, sum);
        load(b + i, other);
        sum += other;
      });
}

}  // namespace potluck::cpu
