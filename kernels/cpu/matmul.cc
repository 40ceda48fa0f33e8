// out = x · Wᵀ as dot products in 16 lanes. Panels of kPanel weight rows are widened to f32 once
// for all rows of x; inside, 4 × 4 accumulators of 16 lanes stay in registers (AVX-512: 16 of 32).
#include <algorithm>

#include "kernels/cpu/dequantize.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/reference.h"
#include "topology/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kPanel = 16;  // weight rows: 16 · 2816 · 4 B = 180 KB, within L2
constexpr int kTile = 4;

struct DotTile {
  const float* x;
  int64_t x_stride;
  const float* w;
  int64_t columns;  // also w's stride
  float* out;
  int64_t out_stride;
};

// kRows × kColumns dot products over `columns` terms each.
template <int kRows, int kColumns>
inline __attribute__((always_inline)) void dot_tile(const DotTile& t) {
  Lanes sums[kRows][kColumns] = {};
  const auto step = [&](int64_t i, auto load) __attribute__((always_inline)) {
    Lanes w[kColumns];
    for (int c = 0; c < kColumns; ++c) load(t.w + c * t.columns + i, w[c]);
    for (int r = 0; r < kRows; ++r) {
      Lanes x;
      load(t.x + r * t.x_stride + i, x);
      for (int c = 0; c < kColumns; ++c) sums[r][c] += x * w[c];
    }
  };
  const int64_t whole = t.columns / kLanes * kLanes, rest = t.columns - whole;
  for (int64_t i = 0; i < whole; i += kLanes) step(i, load_lanes);
  if (rest)
    step(
        whole, [rest](const float* p, Lanes& l)
                   __attribute__((always_inline)) { load_lanes_part(p, rest, l); });
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) t.out[r * t.out_stride + c] = sum_lanes(sums[r][c]);
}

// All rows of x against one panel of `count` widened weight rows.
POTLUCK_CLONES void multiply_panel(const DotTile& all, int64_t rows, int64_t count) {
  for (int64_t c = 0; c < count; c += kTile) {
    for (int64_t r = 0; r < rows; r += kTile) {
      DotTile tile = all;
      tile.x += r * all.x_stride;
      tile.w += c * all.columns;
      tile.out += r * all.out_stride + c;
      if (rows - r >= kTile && count - c >= kTile) {
        dot_tile<kTile, kTile>(tile);
        continue;
      }
      for (int64_t i = 0; i < std::min<int64_t>(kTile, rows - r); ++i)
        for (int64_t j = 0; j < std::min<int64_t>(kTile, count - c); ++j) {
          DotTile one = tile;
          one.x += i * all.x_stride;
          one.w += j * all.columns;
          one.out += i * all.out_stride + j;
          dot_tile<1, 1>(one);
        }
    }
  }
}

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
    multiply_panel({x, x_stride, wide, w.columns, out + first, out_stride}, rows, count);
  });
}

}  // namespace potluck::cpu
