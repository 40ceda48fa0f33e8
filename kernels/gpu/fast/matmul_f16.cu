// A block multiplies a tile of rows by a tile of the stored matrix on matrix units.
#include "kernels/gpu/device/f16_tile.h"
#include "kernels/gpu/fast/matmul_f16.h"

namespace potluck::gpu {

GPU_KERNEL_OF_BLOCKS(matmul_f16, MatmulF16, kF16TileThreads, 2) {
  GPU_SHARED(F16Tile<kMatmulF16Rows>, tile, );
  const int64_t first_output = int64_t{block_x()} * kMatmulF16Outputs;
  const int64_t first_row = int64_t{block_y()} * kMatmulF16Rows;
  if (thread() < kMatmulF16Rows) {
    const int64_t row = first_row + thread();
    tile.x_row[thread()] = row < a.rows ? a.x + row * f16_row_stride(a.w.columns) : nullptr;
  }
  if (thread() < kMatmulF16Outputs) {
    const int64_t output = first_output + thread();
    tile.w_row[thread()] = output < a.w.rows ? a.w.blocks + output * a.w.row_bytes : nullptr;
  }
  barrier();
  F16Sums<kMatmulF16Rows> sums;
  f16_tile_product(a.w.type, a.w.columns, tile, sums);
  GPU_UNROLL
  for (int s = 0; s < kMatmulF16Rows / 2; ++s) {
    const int m = s / 16, n = s / 4 % 4, c = s % 4;
    const int64_t row = first_row + f16_row<kMatmulF16Rows>(n, c);
    const int64_t output = first_output + f16_output(m, n, c);
    if (row < a.rows && output < a.w.rows)
      a.out[row * a.w.rows + output] = sums[m][n][c] * a.scale[row];
  }
}

}  // namespace potluck::gpu
