// Multiplies packed bf16 rows by a panel on tiles of sums, two rows of tiles by two columns of
// them, whoever multiplies tiles: the processor (hardware_tiles.h) or a test's plain loops.
//
// Tiles: clear() zeroes the sums; panel(b) takes the step's [16 pairs][32 columns][2] of W;
// sum<kPair>(a0, a1, stride) adds the product with `height` rows of 32 values, bf16, from a0 on
// and, for a pair, from a1 on; store<kPair>(sums) hands [height][32] sums out, the second tile's
// from row 16 on. Steps: steps[i] is step i of the panel, asked for in order, for each tile or pair
// anew.
#pragma once

#include "kernels/cpu/packed/amx/tiles.h"

namespace potluck::cpu::amx {

constexpr int64_t kColumns = kPanelRows;
constexpr int64_t kValues = 32;  // columns of W a step
constexpr int kStepBytes = kValues * 2;

// Writes rows [skip, height) of a tile that begins at row `first`, and `count` columns, which is a
// constant where it can be, for vectors.
inline __attribute__((always_inline)) void write_columns(const PanelProduct& p, int64_t first,
                                                         int64_t skip, int64_t height,
                                                         int64_t count, const float* sums) {
  for (int64_t r = skip; r < height; ++r) {
    float* out = p.out + (first + r) * p.out_stride;
    const float* from = sums + r * kColumns;
    const float keep = p.keep ? p.keep[first + r] : 0;
    for (int64_t c = 0; c < count; ++c) {
      const float sum = p.factor ? p.factor[c] * from[c] : from[c];
      out[c] = p.keep ? sum + keep * out[c] : sum;
    }
  }
}

inline void write_sums(const PanelProduct& p, int64_t first, int64_t skip, int64_t height,
                       const float* sums) {
  if (p.count == kColumns)
    write_columns(p, first, skip, height, kColumns, sums);
  else
    write_columns(p, first, skip, height, p.count, sums);
}

namespace {

// The steps of a panel of bf16 tiles.
class PanelSteps final {
 public:
  PanelSteps(const PanelProduct& p, const RowCut& cut)
      : panel_(p.panel), prefetch_(p, (cut.tiles + 1) / 2 * tile_count(p.columns, kValues)) {}

  const std::byte* operator[](int64_t step) {
    prefetch_.step();
    return panel_ + step * kColumns * kStepBytes;
  }

 private:
  const std::byte* panel_;
  Prefetch prefetch_;
};

}  // namespace

// Multiplies one tile of rows, or a pair.
template <int kTerms, bool kPair, typename Steps, typename Tiles>
void multiply_tiles(const PanelProduct& p, size_t term_bytes, const RowCut& cut, int64_t tile,
                    Steps& steps, Tiles& tiles) {
  const PackedRows a0 = p.x.from(cut.first(tile)), a1 = p.x.from(cut.first(tile + kPair));
  tiles.clear();
  for (int64_t step = 0; step < tile_count(p.columns, kValues); ++step) {
    tiles.panel(steps[step]);
    for (int term = 0; term < kTerms; ++term) {
      const size_t at = term * term_bytes + step * kStepBytes;
      tiles.template sum<kPair>(a0.data + at, a1.data + at, p.x.stride);
    }
  }
  alignas(64) float sums[2 * kHeightMax * kColumns];
  tiles.template store<kPair>(sums);
  write_sums(p, cut.first(tile), cut.fresh(tile), cut.height, sums);
  if constexpr (kPair)
    write_sums(p, cut.first(tile + 1), cut.fresh(tile + 1), cut.height,
               sums + kHeightMax * kColumns);
}

// The terms of a packed row lie term_bytes apart and are padded to kValues.
template <int kTerms, typename Steps, typename Tiles>
void multiply_bf16(const PanelProduct& p, size_t term_bytes, const RowCut& cut, Steps&& steps,
                   Tiles& tiles) {
  for (int64_t tile = 0; tile < cut.tiles; tile += 2)
    if (tile + 1 < cut.tiles)
      multiply_tiles<kTerms, true>(p, term_bytes, cut, tile, steps, tiles);
    else
      multiply_tiles<kTerms, false>(p, term_bytes, cut, tile, steps, tiles);
}

}  // namespace potluck::cpu::amx
