// A tile of a product in f32: rows of x by rows of a stored matrix, both brought through shared
// memory kTileColumns columns at a time by 256 threads.
#pragma once

#include "kernels/gpu/device/dequantize.h"
#include "kernels/gpu/device/gpu.h"

namespace potluck::gpu {

constexpr int kTileThreads = 256;
constexpr int kTileOutputs = 64;  // rows of the stored matrix
constexpr int kTileColumns = 32;
constexpr int kTilePad = 4;  // keeps rows apart in the banks and aligned to 16 bytes

// The pointers are set by whoever calls tile_product; nullptr: a row of zeros.
template <int kRows>
struct ProductTile {
  alignas(16) float x[kTileColumns][kRows + kTilePad];
  alignas(16) float w[kTileColumns][kTileOutputs + kTilePad];
  const float* x_row[kRows];
  const uint8_t* w_row[kTileOutputs];
};

// A thread has kRows / 16 rows of a tile and 4 outputs, from these on.
template <int kRows>
GPU_DEVICE int tile_row() {
  return thread() / 16 * (kRows / 16);
}
GPU_DEVICE int tile_output() {
  return thread() % 16 * 4;
}

template <int kRows>
GPU_DEVICE void load_tile(Stored type, int64_t first, int64_t columns, ProductTile<kRows>& tile) {
  const int column = thread() % kTileColumns;
  const bool inside = first + column < columns;
  GPU_UNROLL
  for (int i = 0; i < kRows / 8; ++i) {
    const int r = thread() / kTileColumns + 8 * i;
    const float* row = tile.x_row[r];
    tile.x[column][r] = row && inside ? row[first + column] : 0.0f;
  }
  const int output = thread() / 4, run = thread() % 4 * 8;
  const uint8_t* row = tile.w_row[output];
  float values[8] = {};
  if (row) open_run(type, row, first + run, columns, values);
  GPU_UNROLL
  for (int i = 0; i < 8; ++i) tile.w[run + i][output] = values[i];
}

// sums[r][o] = Σ_i x[r, i] · w[o, i] of the thread's rows and outputs. The products of kTileColumns
// columns are summed in order, and then added to the total: the order depends on `columns` alone.
// Every thread of the block calls it after a barrier that follows the setting of the pointers.
template <int kRows>
GPU_DEVICE void tile_product(Stored type, int64_t columns, ProductTile<kRows>& tile,
                             float (&sums)[kRows / 16][4]) {
  constexpr int kThreadSums = kRows / 16 * 4;
  const int row = tile_row<kRows>(), output = tile_output();
  GPU_UNROLL
  for (int s = 0; s < kThreadSums; ++s) sums[s / 4][s % 4] = 0;
  for (int64_t first = 0; first < columns; first += kTileColumns) {
    load_tile(type, first, columns, tile);
    barrier();
    float part[kRows / 16][4] = {};
    GPU_UNROLL
    for (int i = 0; i < kTileColumns; ++i) {
      GPU_UNROLL
      for (int s = 0; s < kThreadSums; ++s)
        part[s / 4][s % 4] =
            fma(tile.x[i][row + s / 4], tile.w[i][output + s % 4], part[s / 4][s % 4]);
    }
    GPU_UNROLL
    for (int s = 0; s < kThreadSums; ++s) sums[s / 4][s % 4] += part[s / 4][s % 4];
    barrier();
  }
}

}  // namespace potluck::gpu
