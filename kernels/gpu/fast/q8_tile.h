// A panel of stored q8_0 by up to 24 rows in int8: four warps take a quarter of the columns each,
// straight from memory, and meet in shared memory.
#pragma once

#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/fast/q8_panels.h"

namespace potluck::gpu {

constexpr int kQ8TileThreads = 128;
constexpr int kQ8TileRows = 24;

// An int sum that begins at the bits of M = 1.5 · 2²³ reads as the float M + sum, without a
// conversion: scale · sum = fma(that, scale, −M · scale) is rounded once.
constexpr int kMagicBits = 0x4b400000;
constexpr float kMagic = 0x1.8p23f;

// Rows from `rows` on are not there: their pointers are those of a row that is.
struct Q8Tile {
  float part[4][kQ8TileRows][kPanelRows + 4];  // [warp][row][output of the panel]
  const int8_t* x_row[kQ8TileRows];
  const float* scale_row[kQ8TileRows];
};

using Q8Sums = float[4][kQ8TileRows / 8][4];

GPU_DEVICE float scale_of(const Words4& scales, int m, int h) {
  return f16_to_float(scales.word[m] >> (h * 16));
}

// sums[m][n][c] += dw · dx · (whole − M) of the four sums of an m and n.
GPU_DEVICE void add_scaled(const int (&whole)[4], const Words4& scales, int m, const float (&dx)[2],
                           float (&sums)[4]) {
  GPU_UNROLL
  for (int c = 0; c < 4; ++c) {
    const float scaled =
        fma(float_of(static_cast<uint32_t>(whole[c])), dx[c % 2], -kMagic * dx[c % 2]);
    sums[c] = fma(scale_of(scales, m, c / 2), scaled, sums[c]);
  }
}

struct Q8Part {
  Words4 w[4], scales;
};
GPU_DEVICE Q8Part load_part(const uint8_t* part) {
  Q8Part loaded;
  GPU_UNROLL
  for (int m = 0; m < 4; ++m) loaded.w[m] = as<const Words4>(part)[m * 32 + lane()];
  loaded.scales = as<const Words4>(part + 2048)[lane() / 4];
  return loaded;
}

// It is a template because matrix units whose lanes mirror each other cannot compile it.
template <typename Part>
GPU_DEVICE void add_part_by_mma(const Part& part, const Q8Tile& tile, int rows, int64_t block,
                                Q8Sums& sums) {
  GPU_UNROLL
  for (int n = 0; n < kQ8TileRows / 8; ++n) {
    if (n * 8 >= rows) break;
    const uint32_t* x = as<const uint32_t>(tile.x_row[n * 8 + lane() / 4]);
    const uint32_t b[2] = {x[block * 8 + lane() % 4 * 2], x[block * 8 + lane() % 4 * 2 + 1]};
    const int row = n * 8 + lane() % 4 * 2;
    const float dx[2] = {tile.scale_row[row][block], tile.scale_row[row + 1][block]};
    GPU_UNROLL
    for (int m = 0; m < 4; ++m) {
      int whole[4] = {kMagicBits, kMagicBits, kMagicBits, kMagicBits};
      mma_s8(whole, part.w[m].word, b);
      add_scaled(whole, part.scales, m, dx, sums[m][n]);
    }
  }
}

// Without such matrix units a lane reads whole rows: those of its sums.
GPU_DEVICE void add_part_by_dot4(const uint8_t* part, const Q8Tile& tile, int rows, int64_t block,
                                 Q8Sums& sums) {
  const Words4 scales = as<const Words4>(part + 2048)[lane() / 4];
  for (int m = 0; m < 4; ++m) {
    Words4 w[4];
    GPU_UNROLL
    for (int t = 0; t < 4; ++t) w[t] = as<const Words4>(part)[m * 32 + lane() / 4 * 4 + t];
    GPU_UNROLL
    for (int n = 0; n < kQ8TileRows / 8; ++n) {
      if (n * 8 >= rows) break;
      const int row = n * 8 + lane() % 4 * 2;
      int whole[4] = {kMagicBits, kMagicBits, kMagicBits, kMagicBits};
      GPU_UNROLL
      for (int i = 0; i < 32; ++i) {
        const int c = i % 4, word = i / 4;
        const int* x = as<const int>(tile.x_row[row + c % 2]);
        whole[c] = dot4(w[word / 2].word[word % 2 * 2 + c / 2], x[block * 8 + word], whole[c]);
      }
      const float dx[2] = {tile.scale_row[row][block], tile.scale_row[row + 1][block]};
      add_scaled(whole, scales, m, dx, sums[m][n]);
    }
  }
}

// Leaves in tile.part what each warp has of Σ_i x[r, i] · w[o, i]; the sum of the four, in order,
// is the product. `panel` has columns / 32 parts. Every thread of the block calls it after a
// barrier that follows the setting of the pointers, and it ends with one.
GPU_DEVICE void q8_tile_product(const uint8_t* panel, int64_t columns, int rows, Q8Tile& tile) {
  const int64_t parts = columns / kPanelColumns;
  const int64_t first = warp() * parts / 4, end = (warp() + 1) * parts / 4;
  Q8Sums sums = {};
  if constexpr (kHasMma && !kMmaMirrors) {
    Q8Part next = load_part(panel + (first < end ? first : 0) * kPanelBytes);
    for (int64_t block = first; block < end; ++block) {
      const Q8Part part = next;
      if (block + 1 < end) next = load_part(panel + (block + 1) * kPanelBytes);
      add_part_by_mma(part, tile, rows, block, sums);
    }
  } else {
    for (int64_t block = first; block < end; ++block)
      add_part_by_dot4(panel + block * kPanelBytes, tile, rows, block, sums);
  }
  GPU_UNROLL
  for (int s = 0; s < kQ8TileRows * 2; ++s) {
    const int m = s / (kQ8TileRows / 2), n = s / 4 % (kQ8TileRows / 8), c = s % 4;
    tile.part[warp()][n * 8 + lane() % 4 * 2 + c % 2][m * 16 + c / 2 * 8 + lane() / 4] =
        sums[m][n][c];
  }
  barrier();
}

GPU_DEVICE float q8_sum(const Q8Tile& tile, int row, int output) {
  float sum = tile.part[0][row][output];
  GPU_UNROLL
  for (int w = 1; w < 4; ++w) sum += tile.part[w][row][output];
  return sum;
}

}  // namespace potluck::gpu
