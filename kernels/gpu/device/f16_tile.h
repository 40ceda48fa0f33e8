// A tile of a product in f16 with sums in f32: rows of x by rows of a stored matrix, both brought
// through shared memory a step of columns at a time, by 8 warps of 32 outputs by half of the rows.
#pragma once

#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/device/open_f16.h"

namespace potluck::gpu {

constexpr int kF16TileThreads = 256;
constexpr int kF16TileOutputs = 128;  // rows of the stored matrix
constexpr int kF16TileStep = 32;      // columns

// The stride of rows of x, which f16_rows.h makes.
GPU_DEVICE int64_t f16_row_stride(int64_t columns) {
  return (columns + kF16TileStep - 1) / kF16TileStep * kF16TileStep;
}

// Steps alternate between two buffers. The pointers are set by whoever calls f16_tile_product;
// nullptr: a row of zeros. Rows of x have whole steps and lie at 16 bytes.
template <int kRows>
struct F16Tile {
  Words4 w[2][kF16TileOutputs][kF16TileStep / 8];
  Words4 x[2][kRows][kF16TileStep / 8];
  const uint16_t* x_row[kRows];
  const uint8_t* w_row[kF16TileOutputs];
};

// The chunk of 8 columns in which chunk c of a row lies: eight rows that follow one another, or
// that lanes of a matrix unit read together, are in as many banks as they can be.
GPU_DEVICE int f16_chunk(int row, int c) {
  return c ^ (row / 2 ^ row / 4) % 4;
}

// Fragments of w for matrix units that mirror have their rows in the order of wmma_row(), so that
// sums [m][n][c] and [m][n][c + 2] are of outputs that are 8 apart, as they are for all others.
constexpr bool kF16Wmma = kHasMma && kMmaMirrors;
GPU_DEVICE int wmma_row(int row) {
  return (row & 3) + (row & 4) * 2 + (row & 8) / 2;
}

// The sums of a thread, [2][kRows / 16][4]: sum [m][n][c] is that of output f16_output(m, n, c) and
// of row f16_row<kRows>(n, c) of the tile.
template <int kRows>
using F16Sums = float[2][kRows / 16][4];

GPU_DEVICE int f16_output(int m, int n, int c) {
  const int within = kF16Wmma ? n % 2 * 4 + c % 2 * 2 + lane() / 16 : lane() / 4;
  return warp() % 4 * 32 + m * 16 + c / 2 * 8 + within;
}
template <int kRows>
GPU_DEVICE int f16_row(int n, int c) {
  const int within = kF16Wmma ? n / 2 * 16 + lane() % 16 : n * 8 + lane() % 4 * 2 + c % 2;
  return warp() / 4 * (kRows / 2) + within;
}

template <int kRows>
GPU_DEVICE bool brings_x() {
  return kRows * 4 == kF16TileThreads || thread() < kRows * 4;
}

// In every step a thread stores two chunks of a row of w and one of x, and the lanes of matrix
// units that do not mirror load matrices: each at these chunks of a buffer, or near them.
struct F16Own {
  int w_to, x_to, w_from, x_from;
};

template <int kRows>
GPU_DEVICE F16Own f16_own() {
  const int output = thread() / 2, row = thread() / 4;
  const int w_first = warp() % 4 * 32 + lane() % 16,
            x_first = warp() / 4 * (kRows / 2) + lane() % 8;
  return {opaque(output * 4 + f16_chunk(output, thread() % 2 * 2)),
          opaque(row * 4 + f16_chunk(row, thread() % 4)),
          opaque(w_first * 4 + f16_chunk(w_first, lane() / 16)),
          opaque(x_first * 4 + f16_chunk(x_first, lane() / 8))};
}

struct F16Load {
  Words4 w[2], x;
};

template <int kRows>
GPU_DEVICE F16Load load_step(Stored type, int64_t first, int64_t columns,
                             const F16Tile<kRows>& tile) {
  F16Load load = {};
  const uint8_t* w = tile.w_row[thread() / 2];
  if (w) open_f16_run(type, w, first + thread() % 2 * 16, columns, load.w);
  if (brings_x<kRows>()) {
    const uint16_t* x = tile.x_row[thread() / 4];
    if (x) load.x = as<const Words4>(x + first)[thread() % 4];
  }
  return load;
}

template <int kRows>
GPU_DEVICE void store_step(const F16Load& load, const F16Own& own, int buffer,
                           F16Tile<kRows>& tile) {
  Words4 *w = tile.w[buffer][0], *x = tile.x[buffer][0];
  w[own.w_to] = load.w[0];
  w[own.w_to ^ 1] = load.w[1];
  if (brings_x<kRows>()) x[own.x_to] = load.x;
}

template <int kRows>
GPU_DEVICE Words4 w_at(const F16Tile<kRows>& tile, int buffer, int output, int chunk) {
  return tile.w[buffer][output][f16_chunk(output, chunk)];
}
template <int kRows>
GPU_DEVICE Words4 x_at(const F16Tile<kRows>& tile, int buffer, int row, int chunk) {
  return tile.x[buffer][row][f16_chunk(row, chunk)];
}

// This takes the layout of matrix units whose lanes do not mirror each other. A chunk two
// further, and the same chunk of a row eight further, are where bit 1 of the place is the other.
template <int kRows>
GPU_DEVICE void add_step_by_mma(const F16Tile<kRows>& tile, const F16Own& own, int buffer,
                                F16Sums<kRows>& sums) {
  const Words4 *of_w = tile.w[buffer][0], *of_x = tile.x[buffer][0];
  uint32_t w[2][2][4];
  GPU_UNROLL
  for (int i = 0; i < 4; ++i)
    load_matrices<false>(w[i / 2][i % 2], of_w + (own.w_from ^ i % 2 * 2) + i / 2 * 64);
  GPU_UNROLL
  for (int n = 0; n < kRows / 16; ++n) {
    uint32_t x[4];
    load_matrices<false>(x, of_x + (own.x_from ^ n % 2 * 2) + n * 32);
    GPU_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int m = i % 2, half = i / 2;
      mma_f16(sums[m][n], w[m][half], {x[half * 2], x[half * 2 + 1]});
    }
  }
}

// This takes that of RDNA3's, which mirror: w's rows are those of a product, x's its columns, and a
// lane has 16 columns of the step in a row.
template <int kRows>
GPU_DEVICE void add_step_by_wmma(const F16Tile<kRows>& tile, int buffer, F16Sums<kRows>& sums) {
  const int own = lane() % 16, output = warp() % 4 * 32 + wmma_row(own);
  const int row = warp() / 4 * (kRows / 2) + own;
  GPU_UNROLL
  for (int half = 0; half < 2; ++half) {
    uint32_t w[2][8], x[kRows / 32][8];
    GPU_UNROLL
    for (int i = 0; i < 16; ++i) {
      const int m = i / 8, chunk = half * 2 + i / 4 % 2;
      w[m][i % 8] = w_at(tile, buffer, output + m * 16, chunk).word[i % 4];
    }
    GPU_UNROLL
    for (int i = 0; i < kRows / 4; ++i) {
      const int n = i / 8, chunk = half * 2 + i / 4 % 2;
      x[n][i % 8] = x_at(tile, buffer, row + n * 16, chunk).word[i % 4];
    }
    GPU_UNROLL
    for (int i = 0; i < kRows / 16; ++i)
      mma_f16(*as<float[8]>(sums[i % 2][i / 2 * 2]), w[i % 2], x[i / 2]);
  }
}

GPU_DEVICE float dot8_f16(const Words4& x, const Words4& w, float sum) {
  GPU_UNROLL
  for (int i = 0; i < 8; ++i)
    sum = fma(f16_to_float(x.word[i / 2] >> (i % 2 * 16)),
              f16_to_float(w.word[i / 2] >> (i % 2 * 16)), sum);
  return sum;
}

template <int kRows>
GPU_DEVICE void add_step_by_fma(const F16Tile<kRows>& tile, int buffer, F16Sums<kRows>& sums) {
  for (int part = 0; part < kF16TileStep / 8; ++part) {
    Words4 w[4];
    GPU_UNROLL
    for (int i = 0; i < 4; ++i) w[i] = w_at(tile, buffer, f16_output(i / 2, 0, i % 2 * 2), part);
    GPU_UNROLL
    for (int s = 0; s < kRows / 8; ++s) {
      const int n = s / 2, odd = s % 2;
      const Words4 x = x_at(tile, buffer, f16_row<kRows>(n, odd), part);
      GPU_UNROLL
      for (int i = 0; i < 4; ++i) {
        float& sum = sums[i / 2][n][i % 2 * 2 + odd];
        sum = dot8_f16(x, w[i], sum);
      }
    }
  }
}

// sums = Σ_i x[r, i] · w[o, i], in an order that depends on `columns` alone. Every thread of the
// block calls it after a barrier that follows the setting of the pointers.
template <int kRows>
GPU_DEVICE void f16_tile_product(Stored type, int64_t columns, F16Tile<kRows>& tile,
                                 F16Sums<kRows>& sums) {
  GPU_UNROLL
  for (int s = 0; s < kRows / 2; ++s) sums[s / (kRows / 4)][s / 4 % (kRows / 16)][s % 4] = 0;
  const F16Own own = f16_own<kRows>();
  store_step(load_step(type, 0, columns, tile), own, 0, tile);
  int buffer = 0;
  for (int64_t first = 0; first < columns; first += kF16TileStep) {
    barrier();
    const int64_t after = opaque(first + kF16TileStep);
    const bool more = after < columns;
    F16Load next;
    if (more) next = load_step(type, after, columns, tile);
    if constexpr (kHasMma && !kMmaMirrors)
      add_step_by_mma(tile, own, buffer, sums);
    else if constexpr (kF16Wmma)
      add_step_by_wmma(tile, buffer, sums);
    else
      add_step_by_fma(tile, buffer, sums);
    buffer ^= 1;
    if (more) store_step(next, own, buffer, tile);
  }
}

}  // namespace potluck::gpu
