// 4 × 4 accumulators of 16 lanes: with AVX-512 16 of the 32 registers, and 8 loads feed 32
// operations. Best: 121 GFLOP/s a core, multiply and add apart (Zen 5, 2026-11-24).
#include "kernels/cpu/products.h"

#include <algorithm>

#include "kernels/cpu/dot_rows.h"
#include "kernels/cpu/lanes.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kStrip = kTile * kLanes;  // columns of a tile of weighted sums

// kRows rows of out, kVectors · 16 columns of them: `count` of the last vector's lanes are real.
template <int kRows, int kVectors>
POTLUCK_INLINE void weighted_tile(ConstRows p, ConstRows v, int64_t terms, Rows out,
                                  int64_t count) {
  Lanes sums[kRows][kVectors];
  const auto load = [count](const float* from, int vector, Lanes& lanes)
      __attribute__((always_inline)) {
    if (kVectors > 1 || count == kLanes)
      load_lanes(from + vector * kLanes, lanes);
    else
      load_lanes_part(from, count, lanes);
  };
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kVectors; ++i) load(out.data + r * out.stride, i, sums[r][i]);
  for (int64_t j = 0; j < terms; ++j) {
    Lanes values[kVectors];
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

template <int kRows>
POTLUCK_INLINE void weighted_strip(ConstRows p, ConstRows v, int64_t terms, int64_t columns,
                                   Rows out) {
  int64_t i = 0;
  for (; i + kStrip <= columns; i += kStrip)
    weighted_tile<kRows, kTile>(p, {v.data + i, v.stride}, terms, {out.data + i, out.stride},
                                kLanes);
  for (; i < columns; i += kLanes)
    weighted_tile<kRows, 1>(p, {v.data + i, v.stride}, terms, {out.data + i, out.stride},
                            std::min<int64_t>(kLanes, columns - i));
}

}  // namespace

POTLUCK_CLONES void dot_products(ConstRows x, int64_t rows, ConstRows w, int64_t columns,
                                 int64_t terms, Rows out) {
  dot_rows(x, rows, w, columns, terms, out);
}

POTLUCK_CLONES float sum_of(const float* x, int64_t n) {
  Lanes sum = {}, lanes;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load_lanes(x + i, lanes);
    sum += lanes;
  }
  load_lanes_part(x + i, n - i, lanes);
  sum += lanes;
  return sum_lanes(sum);
}

POTLUCK_CLONES float most_of(const float* x, int64_t n) {
  Lanes most, lanes;
  for (int j = 0; j < kLanes; ++j) most[j] = x[0];
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load_lanes(x + i, lanes);
    most = lanes > most ? lanes : most;
  }
  float all = most[0];
  for (int j = 1; j < kLanes; ++j) all = most[j] > all ? most[j] : all;
  for (; i < n; ++i) all = x[i] > all ? x[i] : all;
  return all;
}

POTLUCK_CLONES void add_weighted_sums(ConstRows p, int64_t rows, ConstRows v, int64_t terms,
                                      int64_t columns, Rows out) {
  for (int64_t i = 0; i < columns; i += kStrip) {
    const int64_t count = std::min<int64_t>(kStrip, columns - i);
    for (int64_t r = 0; r < rows; r += kTile)
      with_rows(
          std::min<int64_t>(kTile, rows - r), [&]<int kRows>() __attribute__((always_inline)) {
            weighted_strip<kRows>({p.data + r * p.stride, p.stride}, {v.data + i, v.stride}, terms,
                                  count, {out.data + r * out.stride + i, out.stride});
          });
  }
}

}  // namespace potluck::cpu
