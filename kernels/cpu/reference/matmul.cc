// out = x · Wᵀ. Panels of kPanel weight rows are widened to f32 once for all rows of x.
#include <algorithm>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/products.h"
#include "kernels/cpu/reference/reference.h"
#include "topology/base/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kPanel = 16;  // weight rows: 16 · 2816 · 4 B = 180 KB, within L2

}  // namespace

WeightView WeightView::slice(int64_t first, int64_t count) const {
  CHECK(first >= 0 && first + count <= rows, first, count, rows);
  const auto* bytes = static_cast<const std::byte*>(blocks);
  return {type, bytes + row_bytes(type, columns) * static_cast<size_t>(first), count, columns};
}

size_t matmul_scratch(int64_t columns) {
  return static_cast<size_t>(kPanel * columns);
}

void matmul(const float* x, int64_t x_stride, int64_t rows, const WeightView& w, float* out,
            int64_t out_stride, float* scratch, ThreadPool& pool) {
  const int64_t panels = (w.rows + kPanel - 1) / kPanel;
  pool.for_each(panels, [&](int64_t panel, int thread) {
    float* wide = scratch + static_cast<size_t>(thread) * matmul_scratch(w.columns);
    const int64_t first = panel * kPanel, count = std::min(kPanel, w.rows - first);
    dequantize_row(w.type, w.slice(first, count).blocks, wide, count * w.columns);
    dot_products({x, x_stride}, rows, {wide, w.columns}, count, w.columns,
                 {out + first, out_stride});
  });
}

}  // namespace potluck::cpu
