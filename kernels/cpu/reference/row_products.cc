// The reference's two products in tiles of lanes. Best: 121 GFLOP/s a core, multiply and add apart
// (Zen 5, 2026-11-24).
#include "kernels/cpu/reference/row_products.h"

#include <algorithm>

#include "kernels/cpu/reference/dot_rows.h"
#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {
namespace {

// Sums kRows rows of out, kVectors · 16 columns of them; `count` of the last vector's lanes are
// real.
template <typename AnyLanes, int kRows, int kVectors>
POTLUCK_INLINE void weighted_tile(ConstRows p, ConstRows v, int64_t terms, Rows out,
                                  int64_t count) {
  AnyLanes sums[kRows][kVectors];
  const auto load = [count](const float* from, int vector, AnyLanes& lanes)
      __attribute__((always_inline)) {
    if (kVectors > 1 || count == kLanes)
      load_lanes(from + vector * kLanes, lanes);
    else
      load_lanes_part(from, count, lanes);
  };
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kVectors; ++i) load(out.data + r * out.stride, i, sums[r][i]);
  for (int64_t j = 0; j < terms; ++j) {
    AnyLanes values[kVectors];
    for (int i = 0; i < kVectors; ++i) load(v.data + j * v.stride, i, values[i]);
    for (int r = 0; r < kRows; ++r) {
      const float weight = p.data[r * p.stride + j];
      for (int i = 0; i < kVectors; ++i) sums[r][i] += weight * values[i];
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kVectors; ++i)
      store_lanes_part(out.data + r * out.stride + i * kLanes, kVectors > 1 ? kLanes : count,
                       sums[r][i]);
}

template <typename AnyLanes, int kRows>
POTLUCK_INLINE void weighted_strip(ConstRows p, ConstRows v, int64_t terms, int64_t columns,
                                   Rows out) {
  constexpr int kVectors = TileOf<AnyLanes>::kColumns;
  constexpr int64_t kStrip = kVectors * kLanes;
  int64_t i = 0;
  for (; i + kStrip <= columns; i += kStrip)
    weighted_tile<AnyLanes, kRows, kVectors>(p, {v.data + i, v.stride}, terms,
                                             {out.data + i, out.stride}, kLanes);
  for (; i < columns; i += kLanes)
    weighted_tile<AnyLanes, kRows, 1>(p, {v.data + i, v.stride}, terms, {out.data + i, out.stride},
                                      std::min<int64_t>(kLanes, columns - i));
}

// Columns are taken by strips, so that those of v stay in cache for all rows.
template <typename AnyLanes>
POTLUCK_INLINE void weighted_rows(ConstRows p, int64_t rows, ConstRows v, int64_t terms,
                                  int64_t columns, Rows out) {
  constexpr int kTile = TileOf<AnyLanes>::kRows;
  constexpr int64_t kStrip = TileOf<AnyLanes>::kColumns * kLanes;
  for (int64_t i = 0; i < columns; i += kStrip) {
    const int64_t count = std::min<int64_t>(kStrip, columns - i);
    for (int64_t r = 0; r < rows; r += kTile)
      with_rows<kTile>(
          rows - r, [&]<int kRows>() __attribute__((always_inline)) {
            weighted_strip<AnyLanes, kRows>({p.data + r * p.stride, p.stride},
                                            {v.data + i, v.stride}, terms, count,
                                            {out.data + r * out.stride + i, out.stride});
          });
  }
}

}  // namespace

POTLUCK_CLONES void dot_products(ConstRows x, int64_t rows, ConstRows w, int64_t columns,
                                 int64_t terms, Rows out) {
  dot_rows(x, rows, w, columns, terms, out);
}

POTLUCK_CLONES void add_weighted_sums(ConstRows p, int64_t rows, ConstRows v, int64_t terms,
                                      int64_t columns, Rows out) {
  if (wide_lanes())
    weighted_rows<WideLanes>(p, rows, v, terms, columns, out);
  else
    weighted_rows<Lanes>(p, rows, v, terms, columns, out);
}

}  // namespace potluck::cpu
