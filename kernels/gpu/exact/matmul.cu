// A block multiplies a tile of rows by a tile of the stored matrix.
#include "kernels/gpu/device/product_tile.h"
#include "kernels/gpu/exact/matmul.h"

namespace potluck::gpu {

GPU_KERNEL(matmul, Matmul, kTileThreads) {
  GPU_SHARED(ProductTile<kMatmulRows>, tile, );
  const int64_t first_output = int64_t{block_x()} * kMatmulOutputs;
  const int64_t first_row = int64_t{block_y()} * kMatmulRows;
  if (thread() < kMatmulRows) {
    const int64_t row = first_row + thread(), output = first_output + thread();
    tile.x_row[thread()] = row < a.rows ? a.x + row * a.w.columns : nullptr;
    tile.w_row[thread()] = output < a.w.rows ? a.w.blocks + output * a.w.row_bytes : nullptr;
  }
  barrier();
  float sums[kMatmulRows / 16][4];
  tile_product(a.w.type, a.w.columns, tile, sums);
  GPU_UNROLL
  for (int s = 0; s < kMatmulRows / 16 * 4; ++s) {
    const int64_t row = first_row + tile_row<kMatmulRows>() + s / 4;
    const int64_t output = first_output + tile_output() + s % 4;
    if (row < a.rows && output < a.w.rows) a.out[row * a.w.rows + output] = sums[s / 4][s % 4];
  }
}

}  // namespace potluck::gpu
