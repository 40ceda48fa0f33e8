// Dot products are blocked in tiles of accumulators of 16 lanes, which fill 16 of AVX-512's 32
// registers or 12 of AVX2's 16. This is compiled twice: with a product and a sum rounded apart
// (row_products.cc), and as one (fused_dot_products.cc).
//
// All of it has internal linkage: the linker must not choose one for both.
#pragma once

#include <algorithm>

#include "kernels/cpu/reference/lanes.h"
#include "kernels/cpu/reference/rows.h"

namespace potluck::cpu {
namespace {

template <typename AnyLanes>
struct TileOf {
  static constexpr int kRows = 2, kColumns = 3;
};
template <>
struct TileOf<WideLanes> {
  static constexpr int kRows = 4, kColumns = 4;
};

// A block's sums wait in its lanes while pieces of rows that L1 holds meet: 16 rows of w of 512
// terms are 32 KB. (With whole rows of 2816 terms everything came from L2, at half the speed.)
constexpr int64_t kBlockRows = 32, kBlockColumns = 16, kPiece = 512;

// Whether this processor has wide lanes; false where functions have no clones.
POTLUCK_INLINE bool wide_lanes() {
#if POTLUCK_HAS_CLONES
  return __builtin_cpu_supports("avx512f");
#else
  return false;
#endif
}

// sums[r][c] += x[r, i …] · w[c, i …], of as many values as load takes.
template <typename AnyLanes, int kRows, int kColumns, typename Load>
POTLUCK_INLINE void add_lanes(ConstRows x, ConstRows w, int64_t i, const Load& load,
                              AnyLanes (&sums)[kRows][kColumns]) {
  AnyLanes b[kColumns];
#pragma GCC unroll 4
  for (int c = 0; c < kColumns; ++c) load(w.data + c * w.stride + i, b[c]);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    AnyLanes a;
    load(x.data + r * x.stride + i, a);
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) sums[r][c] += a * b[c];
  }
}

// block[r][c] += Σ x[r, i] · w[c, i] by lanes; a row of the block has kBlockColumns. (A loop that
// leaves the unrolling to GCC 12 stores all sums each time round.)
template <int kRows, int kColumns, typename AnyLanes>
POTLUCK_INLINE void add_tile(ConstRows x, ConstRows w, int64_t terms, AnyLanes* block) {
  const int64_t whole = terms / kLanes * kLanes;
  AnyLanes sums[kRows][kColumns];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) sums[r][c] = block[r * kBlockColumns + c];
  for (int64_t i = 0; i < whole; i += kLanes) add_lanes(x, w, i, LoadWhole{}, sums);
  if (whole < terms) add_lanes(x, w, whole, LoadPart{terms - whole}, sums);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) block[r * kBlockColumns + c] = sums[r][c];
}

// Multiplies kRows rows of x by the columns of a block.
template <int kRows, typename AnyLanes>
POTLUCK_INLINE void add_strip(ConstRows x, ConstRows w, int64_t columns, int64_t terms,
                              AnyLanes* block) {
  constexpr int kTile = TileOf<AnyLanes>::kColumns;
  int64_t c = 0;
  const auto from = [&](int64_t column) { return ConstRows{w.data + column * w.stride, w.stride}; };
  for (; c + kTile <= columns; c += kTile) add_tile<kRows, kTile>(x, from(c), terms, block + c);
  for (; c < columns; ++c) add_tile<kRows, 1>(x, from(c), terms, block + c);
}

// Calls body<n>() for n = rows, of at most kMost.
template <int kMost, typename Body>
POTLUCK_INLINE void with_rows(int64_t rows, const Body& body) {
  if constexpr (kMost > 1)
    if (rows < kMost) return with_rows<kMost - 1>(rows, body);
  body.template operator()<kMost>();
}

template <typename AnyLanes>
POTLUCK_INLINE void dot_block(ConstRows x, int64_t rows, ConstRows w, int64_t columns,
                              int64_t terms, Rows out) {
  constexpr int kTile = TileOf<AnyLanes>::kRows;
  AnyLanes sums[kBlockRows * kBlockColumns];
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) sums[r * kBlockColumns + c] = AnyLanes{};
  for (int64_t i = 0; i < terms; i += kPiece)
    for (int64_t r = 0; r < rows; r += kTile)
      with_rows<kTile>(
          rows - r, [&]<int kRows>() __attribute__((always_inline)) {
            add_strip<kRows>({x.data + r * x.stride + i, x.stride}, {w.data + i, w.stride}, columns,
                             std::min(kPiece, terms - i), sums + r * kBlockColumns);
          });
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      out.data[r * out.stride + c] = sum_lanes(sums[r * kBlockColumns + c]);
}

template <typename AnyLanes>
POTLUCK_INLINE void dot_blocks(ConstRows x, int64_t rows, ConstRows w, int64_t columns,
                               int64_t terms, Rows out) {
  for (int64_t c = 0; c < columns; c += kBlockColumns)
    for (int64_t r = 0; r < rows; r += kBlockRows)
      dot_block<AnyLanes>({x.data + r * x.stride, x.stride}, std::min(kBlockRows, rows - r),
                          {w.data + c * w.stride, w.stride}, std::min(kBlockColumns, columns - c),
                          terms, {out.data + r * out.stride + c, out.stride});
}

POTLUCK_INLINE void dot_rows(ConstRows x, int64_t rows, ConstRows w, int64_t columns, int64_t terms,
                             Rows out) {
  if (wide_lanes())
    dot_blocks<WideLanes>(x, rows, w, columns, terms, out);
  else
    dot_blocks<Lanes>(x, rows, w, columns, terms, out);
}

}  // namespace
}  // namespace potluck::cpu
