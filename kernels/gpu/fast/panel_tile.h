// A panel by up to 24 rows of x in int8: a quarter of the columns each, straight from memory, by
// four warps, which meet in shared memory. By matrix units, of PTX's layout or of RDNA3's, a warp
// has the sums of all rows and outputs in its lanes; without such units a lane has one or two rows
// of the panel, and what is read of x is the same for all of a wave.
//
// A sum of levels is the same whole number by each, and enters sums in f32 in the order of the
// columns: so a product has the same bits on all cards.
#pragma once

#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/fast/experts_int8.h"
#include "kernels/gpu/fast/panel_layout.h"

namespace potluck::gpu {

constexpr int kPanelThreads = 128;
constexpr int kPanelTileRows = kExpertInt8Rows;

// An int sum that begins at the bits of M = 1.5 · 2²³ reads as the float M + sum, without a
// conversion: scale · sum = fma(that, scale, −M · scale) is rounded once.
constexpr int kMagicBits = 0x4b400000;
constexpr float kMagic = 0x1.8p23f;

// Row i of the tile is the row of x that begins with block x_block[i] of the operand (which has
// less than 2³¹ blocks of 32); rows from the tile's count on name one that is there.
struct PanelTile {
  float part[4][kPanelTileRows][kPanelRows + 4];  // [quarter][row][output of the panel]
  int32_t x_block[kPanelTileRows];
};

// A block multiplies these.
struct PanelProduct {
  const uint8_t* panel;
  Q8Operand x;
  int64_t columns;
};
template <Stored kType>
GPU_DEVICE const uint8_t* super_of(const PanelProduct& a, int64_t block) {
  return a.panel + block / 8 * panel_super_bytes(panel_format(kType));
}
template <Stored kType>
GPU_DEVICE const uint8_t* part_of(const PanelProduct& a, int64_t block) {
  constexpr PanelFormat kFormat = panel_format(kType);
  return a.panel + a.columns / 256 * panel_super_bytes(kFormat) + block * panel_part_bytes(kFormat);
}

struct Blocks {
  int first, end;
};
GPU_DEVICE Blocks quarter_of(const PanelProduct& a, int quarter) {
  const int blocks = a.columns / kPanelColumns;
  return {quarter * blocks / 4, (quarter + 1) * blocks / 4};
}

// sum + scale · dx · (whole − M); offset = −M · dx.
GPU_DEVICE float add_whole(int whole, float scale, float dx, float offset, float sum) {
  return fma(fma(float_of(static_cast<uint32_t>(whole)), dx, offset), scale, sum);
}

// Levels in the upper bits of a byte are multiples of this.
template <Stored kType>
constexpr float kLevelUnit = 1.0f / (1 << panel_level_shift(panel_format(kType)));

// A lane of the matrix units has this of a part: a quad for two of its four 16 rows, and another.
template <Stored kType>
struct MmaPart {
  PanelQuad<kType> quads[2];
  BundleScales<kType> scales;
};
template <Stored kType>
GPU_DEVICE MmaPart<kType> load_mma_part(const uint8_t* part) {
  return {{load_quad<kType>(part, lane()), load_quad<kType>(part, 32 + lane())},
          load_scales<kType>(part, lane() / 4)};
}

// 8 rows of x in a block of columns.
struct MmaRows {
  uint32_t b[2];
  Q8Scale scale[2];
  float offset[2];
};
GPU_DEVICE MmaRows load_mma_rows(const Q8Operand& x, const PanelTile& tile, int n, int block) {
  const int64_t at = tile.x_block[n * 8 + opaque(lane()) / 4] + block;
  const auto b = as<const PanelWords<2>>(x.q + at * kPanelColumns)[lane() % 4];
  MmaRows rows = {{b.word[0], b.word[1]}, {}, {}};
  GPU_UNROLL
  for (int c = 0; c < 2; ++c) {
    rows.scale[c] = x.scale[tile.x_block[n * 8 + lane() % 4 * 2 + c] + block];
    rows.offset[c] = -kMagic * rows.scale[c].scale;
  }
  return rows;
}

// Adds 16 rows of a panel by 8 rows of x. It is a template because matrix units whose lanes mirror
// each other cannot compile it, as others cannot add_by_wmma().
template <Stored kType, typename Words>
GPU_DEVICE void add_by_mma(const Words& w, const RowScale (&scale)[2], const MmaRows& x,
                           float (&sums)[4]) {
  GPU_UNROLL
  for (int group = 0; group < kPanelGroups<kType>; ++group) {
    const bool has_columns = kPanelGroups<kType> == 1 || lane() % 4 / 2 == group;
    const uint32_t b[2] = {has_columns ? x.b[0] : 0, has_columns ? x.b[1] : 0};
    int whole[4] = {kMagicBits, kMagicBits, kMagicBits, kMagicBits};
    mma_s8(whole, w, b);
    GPU_UNROLL
    for (int c = 0; c < 4; ++c)
      sums[c] = add_whole(whole[c], group ? scale[c / 2].second : scale[c / 2].first,
                          x.scale[c % 2].scale, x.offset[c % 2], sums[c]);
  }
  if constexpr (kHasMins<kType>) {
    GPU_UNROLL
    for (int c = 0; c < 4; ++c) sums[c] = fma(x.scale[c % 2].sum, scale[c / 2].second, sums[c]);
  }
}

template <Stored kType, int kTiles>
GPU_DEVICE void add_part_by_mma(const MmaPart<kType>& part, const BundleSupers<kType>& supers,
                                const MmaRows (&x)[kTiles], float (&sums)[4][kTiles][4]) {
  GPU_UNROLL
  for (int m = 0; m < 4; ++m) {
    const PanelQuad<kType>& quad = part.quads[m / 2];
    const int i = m % 2 * 2;
    const uint32_t w[4] = {open_levels<kType>(quad, i, 0), open_levels<kType>(quad, i + 1, 0),
                           open_levels<kType>(quad, i, 1), open_levels<kType>(quad, i + 1, 1)};
    const RowScale scale[2] = {open_scale<kType>(part.scales, supers, 2 * m),
                               open_scale<kType>(part.scales, supers, 2 * m + 1)};
    GPU_UNROLL
    for (int n = 0; n < kTiles; ++n) add_by_mma<kType>(w, scale, x[n], sums[m][n]);
  }
}

// kTiles · 8 rows of x, a block of columns ahead in registers.
template <Stored kType, int kTiles>
GPU_DEVICE void multiply_by_mma(const PanelProduct& a, PanelTile& tile) {
  const Blocks blocks = quarter_of(a, warp());
  float sums[4][kTiles][4] = {};
  BundleSupers<kType> supers = {};
  MmaPart<kType> next = {};
  if (blocks.first < blocks.end) next = load_mma_part<kType>(part_of<kType>(a, blocks.first));
  for (int block = blocks.first; block < blocks.end; ++block) {
    const MmaPart<kType> part = next;
    if (block + 1 < blocks.end) next = load_mma_part<kType>(part_of<kType>(a, opaque(block + 1)));
    if constexpr (kHasSuperScales<kType>) {
      if (block == blocks.first || block % 8 == 0)
        supers = load_supers<kType>(super_of<kType>(a, block), lane() / 4);
    }
    MmaRows x[kTiles];
    GPU_UNROLL
    for (int n = 0; n < kTiles; ++n) x[n] = load_mma_rows(a.x, tile, n, block);
    add_part_by_mma<kType>(part, supers, x, sums);
  }
  GPU_UNROLL
  for (int s = 0; s < kTiles * 16; ++s) {
    const int m = s / (kTiles * 4), n = s / 4 % kTiles, c = s % 4;
    tile.part[warp()][n * 8 + lane() % 4 * 2 + c % 2][m * 16 + c / 2 * 8 + lane() / 4] =
        sums[m][n][c] * kLevelUnit<kType>;
  }
}

// 16 rows of x in a block of columns, for matrix units whose lanes mirror: a lane has a row.
struct WmmaRows {
  Words4 b[2];
  Q8Scale scale;
  float offset;
};
GPU_DEVICE int wmma_x_row(int n) {
  return n * 16 + lane() % 16;
}
GPU_DEVICE WmmaRows load_wmma_rows(const Q8Operand& x, const PanelTile& tile, int n, int block) {
  const int row = wmma_x_row(n) < kPanelTileRows ? wmma_x_row(n) : 0;
  const int64_t at = tile.x_block[row] + block;
  const Words4* b = as<const Words4>(x.q + at * kPanelColumns);
  const Q8Scale scale = x.scale[at];
  return {{b[0], b[1]}, scale, -kMagic * scale.scale};
}

// Adds 16 rows of a panel by 16 rows of x; a lane has the sums of every other row of the panel.
template <Stored kType, typename Words>
GPU_DEVICE void add_by_wmma(const Words (&w)[2], const RowScale (&scale)[8], const WmmaRows& x,
                            float (&sums)[8]) {
  constexpr int kGroups = kPanelGroups<kType>;
  GPU_UNROLL
  for (int group = 0; group < kGroups; ++group) {
    int whole[8] = {kMagicBits, kMagicBits, kMagicBits, kMagicBits,
                    kMagicBits, kMagicBits, kMagicBits, kMagicBits};
    GPU_UNROLL
    for (int half = group; half < (kGroups == 1 ? 2 : group + 1); ++half)
      mma_s8(whole, w[half], x.b[half].word);
    GPU_UNROLL
    for (int i = 0; i < 8; ++i)
      sums[i] = add_whole(whole[i], group ? scale[i].second : scale[i].first, x.scale.scale,
                          x.offset, sums[i]);
  }
  if constexpr (kHasMins<kType>) {
    GPU_UNROLL
    for (int i = 0; i < 8; ++i) sums[i] = fma(x.scale.sum, scale[i].second, sums[i]);
  }
}

// kTiles · 16 rows of x.
template <Stored kType, int kTiles>
GPU_DEVICE void multiply_by_wmma(const PanelProduct& a, PanelTile& tile) {
  const Blocks blocks = quarter_of(a, warp());
  const int odd = lane() / 16;
  float sums[4][kTiles][8] = {};
  for (int block = blocks.first; block < blocks.end; ++block) {
    const uint8_t* part = part_of<kType>(a, block);
    WmmaRows x[kTiles];
    GPU_UNROLL
    for (int n = 0; n < kTiles; ++n) x[n] = load_wmma_rows(a.x, tile, n, block);
    GPU_UNROLL
    for (int m = 0; m < 4; ++m) {
      const PanelQuad<kType> quad = load_quad<kType>(part, m * 16 + lane() % 16);
      uint32_t w[2][4];
      GPU_UNROLL
      for (int k = 0; k < 8; ++k) w[k / 4][k % 4] = open_levels<kType>(quad, k / 2, k % 2);
      const BundleScales<kType> bundle = load_scales<kType>(part, 2 * m + odd);
      const auto supers = load_supers<kType>(super_of<kType>(a, block), 2 * m + odd);
      RowScale scale[8];
      GPU_UNROLL
      for (int i = 0; i < 8; ++i) scale[i] = open_scale<kType>(bundle, supers, i);
      GPU_UNROLL
      for (int n = 0; n < kTiles; ++n) add_by_wmma<kType>(w, scale, x[n], sums[m][n]);
      keep_order();
    }
  }
  GPU_UNROLL
  for (int s = 0; s < kTiles * 32; ++s) {
    const int m = s / (kTiles * 8), n = s / 8 % kTiles, i = s % 8;
    if (wmma_x_row(n) < kPanelTileRows)
      tile.part[warp()][wmma_x_row(n)][m * 16 + 2 * i + odd] = sums[m][n][i] * kLevelUnit<kType>;
  }
}

// A row of a panel in a block of columns, and what it multiplies.
struct DotRow {
  uint32_t w[8];
  RowScale scale;
};
template <Stored kType>
GPU_DEVICE DotRow load_dot_row(const PanelProduct& a, int64_t block, int row) {
  const uint8_t* part = part_of<kType>(a, block);
  const PanelQuad<kType> quad = load_quad<kType>(part, row);
  const RowScale super = load_super<kType>(super_of<kType>(a, block), panel_place(row));
  DotRow loaded = {{}, load_scale<kType>(part, super, panel_place(row))};
  GPU_UNROLL
  for (int k = 0; k < 8; ++k) loaded.w[k] = open_levels<kType>(quad, k / 2, k % 2);
  return loaded;
}

template <Stored kType>
GPU_DEVICE float add_by_dot4(const DotRow& row, const Words4 (&x)[2], Q8Scale dx, float sum) {
  GPU_UNROLL
  for (int group = 0; group < kPanelGroups<kType>; ++group) {
    int whole = kMagicBits;
    GPU_UNROLL
    for (int k = 0; k < 8; ++k)
      if (kPanelGroups<kType> == 1 || k / 4 == group)
        whole = dot4(static_cast<int>(row.w[k]), static_cast<int>(x[k / 4].word[k % 4]), whole);
    sum = add_whole(whole, group ? row.scale.second : row.scale.first, dx.scale, -kMagic * dx.scale,
                    sum);
  }
  return kHasMins<kType> ? fma(dx.sum, row.scale.second, sum) : sum;
}

// kRows rows of x. A lane of a wave has every kWave-th row of the panel.
template <Stored kType, int kRows>
GPU_DEVICE void multiply_by_dot4(const PanelProduct& a, PanelTile& tile) {
  constexpr int kOwn = kPanelRows / kWave;
  const int own = thread() % kWave;
  for (int quarter = uniform(thread() / kWave); quarter < 4; quarter += kPanelThreads / kWave) {
    const Blocks blocks = quarter_of(a, quarter);
    int32_t x_block[kRows];
    GPU_UNROLL
    for (int n = 0; n < kRows; ++n) x_block[n] = tile.x_block[n];
    float sums[kRows][kOwn] = {};
    for (int block = blocks.first; block < blocks.end; ++block) {
      const int here = opaque(block);
      DotRow rows[kOwn];
      GPU_UNROLL
      for (int r = 0; r < kOwn; ++r) rows[r] = load_dot_row<kType>(a, block, r * kWave + own);
      GPU_UNROLL
      for (int n = 0; n < kRows; ++n) {
        const int64_t at = uniform(x_block[n] + here);
        const int8_t* q = a.x.q + at * kPanelColumns;
        const Words4 x[2] = {load_uniform<Words4>(q), load_uniform<Words4>(q + 16)};
        const Q8Scale dx = load_uniform<Q8Scale>(a.x.scale + at);
        GPU_UNROLL
        for (int r = 0; r < kOwn; ++r) sums[n][r] = add_by_dot4<kType>(rows[r], x, dx, sums[n][r]);
      }
    }
    GPU_UNROLL
    for (int s = 0; s < kRows * kOwn; ++s)
      tile.part[quarter][s / kOwn][s % kOwn * kWave + own] =
          sums[s / kOwn][s % kOwn] * kLevelUnit<kType>;
  }
}

// 8 · kTiles rows.
template <Stored kType, int kTiles>
GPU_DEVICE void multiply_panel(const PanelProduct& a, PanelTile& tile) {
  if constexpr (kPtxLanes)
    multiply_by_mma<kType, kTiles>(a, tile);
  else if constexpr (kHasMma)
    multiply_by_wmma<kType, (kTiles + 1) / 2>(a, tile);
  else
    multiply_by_dot4<kType, kTiles * 8>(a, tile);
}

// Leaves in tile.part what each quarter of the columns has of Σ_i x[r, i] · w[o, i] for the first
// `rows` rows of the tile; the sum of the four, in order, is the product. Every thread of the block
// calls it after a barrier that follows the setting of the rows, and it ends with one.
template <Stored kType>
GPU_DEVICE void panel_product(const PanelProduct& a, int rows, PanelTile& tile) {
  static_assert(kPanelTileRows == 24);
  if (rows <= 8)
    multiply_panel<kType, 1>(a, tile);
  else if (rows <= 16)
    multiply_panel<kType, 2>(a, tile);
  else
    multiply_panel<kType, 3>(a, tile);
  barrier();
}

GPU_DEVICE float panel_sum(const PanelTile& tile, int row, int output) {
  float sum = tile.part[0][row][output];
  GPU_UNROLL
  for (int quarter = 1; quarter < 4; ++quarter) sum += tile.part[quarter][row][output];
  return sum;
}

}  // namespace potluck::gpu
