// AVX2's micro-kernel walks a panel in tiles of 4 rows × 16 columns, group after group; the float
// sums wait in L1 where they find no register. A product is a Kernel:
//   Format: kGroup, kMinimum;
//   kGroupBytes: what a group of a panel takes, with kValueBytes of them before its scales;
//   dots<rows>(values, x, group, dots): the integer sums of a group over 16 columns;
//   scales_at(columns): the place in a packed row of x of f32 scale[K / 32], behind which, where
//   the format has a minimum, lie f32 scale · Σ q of each block.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include "kernels/cpu/packed/avx2/layout.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr int kRowsMax = 4;      // in a tile
constexpr int kColumnBytes = 4;  // from one column of a panel's vector to the next

constexpr int64_t blocks_of(int64_t columns) {
  return (columns + kBlock - 1) / kBlock;
}

// sums[r][·] += dx · scale · (the integer sums of one group), less dx · Σ xq · minimum.
template <typename Kernel, int kRows>
POTLUCK_INLINE_256 void add_group(const PanelProduct& p, const std::byte* const* x, int64_t group,
                                  const std::byte* panel, int column, __m256 (&sums)[kRows][2]) {
  using Format = typename Kernel::Format;
  __m256i dots[kRows][2];
  Kernel::template dots<kRows>(panel + column * kColumnBytes, x, p.columns, group, dots);
  const auto* scales = reinterpret_cast<const float*>(panel + Kernel::kValueBytes) + column;
  const int64_t dx_at = Kernel::scales_at(p.columns) + group * Format::kGroup / kBlock * 4;
  const int64_t sum_at = Kernel::scales_at(p.columns) + (blocks_of(p.columns) + group) * 4;
  for (int side = 0; side < 2; ++side) {
    const __m256 scale = _mm256_load_ps(scales + 8 * side);
    for (int r = 0; r < kRows; ++r) {
      const __m256 scaled =
          _mm256_mul_ps(_mm256_cvtepi32_ps(dots[r][side]), broadcast(x[r] + dx_at));
      sums[r][side] = _mm256_fmadd_ps(scaled, scale, sums[r][side]);
      if constexpr (Format::kMinimum)
        sums[r][side] =
            _mm256_fnmadd_ps(broadcast(x[r] + sum_at),
                             _mm256_load_ps(scales + kPanelRows + 8 * side), sums[r][side]);
    }
  }
}

// Each chunk but the first goes on from the sums in out. (Not inlined: within another loop GCC 12
// gives the registers to the float sums, and half of the speed goes.)
template <typename Kernel, int kRows>
__attribute__((noinline)) void multiply_tile(const PanelProduct& p, const Chunk& chunk,
                                             int64_t first, int column) {
  __m256 sums[kRows][2];
  for (int r = 0; r < kRows; ++r)
    if (chunk.first == 0)
      start_columns(p, first + r, column, sums[r]);
    else
      load_columns(p, first + r, column, sums[r]);
  const TileRows<kRows> x(p, first);
  for (int64_t g = 0; g < chunk.groups; ++g)
    add_group<Kernel, kRows>(p, x.at, chunk.first + g, chunk.panel + g * Kernel::kGroupBytes,
                             column, sums);
  for (int r = 0; r < kRows; ++r) store_columns(p, first + r, column, sums[r]);
}

template <typename Kernel>
void multiply_chunk(const PanelProduct& p, const Chunk& chunk, Prefetch& prefetch) {
  each_tile<kRowsMax>(p.rows, [&]<int kRows>(int64_t first) {
    prefetch.step();
    for (int column = 0; column < p.count; column += kHalf)
      multiply_tile<Kernel, kRows>(p, chunk, first, column);
  });
}

template <typename Kernel>
void multiply(const PanelProduct& p) {
  constexpr int64_t kGroup = Kernel::Format::kGroup;
  Prefetch prefetch(p, tile_count(p.rows, kRowsMax));
  multiply_chunk<Kernel>(p, {p.panel, 0, (p.columns + kGroup - 1) / kGroup}, prefetch);
}

}  // namespace
}  // namespace potluck::cpu::avx2
