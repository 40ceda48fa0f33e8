// Panels of kPanel weight rows are dequantized to f32 once for all rows of x.
#include "kernels/cpu/reference/matmul.h"

#include <algorithm>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/row_products.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kPanel = 16;  // weight rows: 16 · 2816 · 4 B = 180 KB, within L2

}  // namespace

size_t matmul_scratch(int64_t columns) {
  return kPanel * columns;
}

void matmul(ConstRows x, int64_t rows, const WeightView& w, Rows out, float* scratch,
            ThreadPool& pool) {
  const int64_t panels = (w.rows + kPanel - 1) / kPanel;
  pool.for_each(panels, [&](int64_t panel, int thread) {
    float* values = scratch + thread * matmul_scratch(w.columns);
    const int64_t first = panel * kPanel, count = std::min(kPanel, w.rows - first);
    dequantize_row(w.type, w.slice(first, count).blocks, values, count * w.columns);
    dot_products(x, rows, {values, w.columns}, count, w.columns, {out.data + first, out.stride});
  });
}

}  // namespace potluck::cpu
