// Each block multiplies its tile as f16_tile.h does.
#include "kernels/gpu/device/f16_tile.h"
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/tile_work.h"
#include "kernels/gpu/fast/experts_f16.h"

namespace potluck::gpu {

// Gate and up of an output are 8 apart in the tile, so that a thread has both.
GPU_KERNEL(expert_gate_up_f16, ExpertGateUpF16, kF16TileThreads) {
  GPU_SHARED(F16Tile<kExpertF16Rows>, tile, );
  GPU_SHARED(float, scale, [kExpertF16Rows]);
  const TileWork work = find_work(a.tiles);
  const int64_t inner = a.gate_up.rows / 2, columns = a.gate_up.columns;
  const int64_t first_output = work.part * kGateUpF16Outputs;
  if (first_output >= inner) return;
  if (thread() < kExpertF16Rows) {
    const int64_t at = work.first + thread();
    const int64_t row = at < work.end ? a.order[at] / a.used : 0;
    tile.x_row[thread()] = at < work.end ? a.x + row * f16_row_stride(columns) : nullptr;
    scale[thread()] = a.scale[row];
  }
  if (thread() < kF16TileOutputs) {
    const int64_t i = first_output + thread() / 16 * 8 + thread() % 8;
    const int64_t row = (work.expert * 2 + thread() / 8 % 2) * inner + i;
    tile.w_row[thread()] = i < inner ? a.gate_up.blocks + row * a.gate_up.row_bytes : nullptr;
  }
  barrier();
  F16Sums<kExpertF16Rows> sums;
  f16_tile_product(a.gate_up.type, columns, tile, sums);
  GPU_UNROLL
  for (int s = 0; s < kExpertF16Rows / 4; ++s) {
    const int m = s / 4, n = s / 2 % 2, c = s % 2;
    const int row = f16_row<kExpertF16Rows>(n, c), output = f16_output(m, n, c);
    const int64_t at = work.first + row;
    const int64_t i = first_output + output / 16 * 8 + output % 8;
    const float gate = sums[m][n][c] * scale[row], up = sums[m][n][c + 2] * scale[row];
    if (at < work.end && i < inner) a.inner[at * inner + i] = gelu(gate) * up;
  }
}

GPU_KERNEL(expert_down_f16, ExpertDownF16, kF16TileThreads) {
  GPU_SHARED(F16Tile<kExpertF16Rows>, tile, );
  const TileWork work = find_work(a.tiles);
  const int64_t hidden = a.down.rows, columns = a.down.columns;
  const int64_t first_output = work.part * kDownF16Outputs;
  if (first_output >= hidden) return;
  if (thread() < kExpertF16Rows) {
    const int64_t at = work.first + thread();
    tile.x_row[thread()] = at < work.end ? a.inner + at * f16_row_stride(columns) : nullptr;
  }
  if (thread() < kF16TileOutputs) {
    const int64_t o = first_output + thread(), row = work.expert * hidden + o;
    tile.w_row[thread()] = o < hidden ? a.down.blocks + row * a.down.row_bytes : nullptr;
  }
  barrier();
  F16Sums<kExpertF16Rows> sums;
  f16_tile_product(a.down.type, columns, tile, sums);
  GPU_UNROLL
  for (int s = 0; s < kExpertF16Rows / 2; ++s) {
    const int m = s / 8, n = s / 4 % 2, c = s % 4;
    const int64_t at = work.first + f16_row<kExpertF16Rows>(n, c);
    const int64_t o = first_output + f16_output(m, n, c);
    if (at < work.end && o < hidden) a.out[at * hidden + o] = sums[m][n][c] * a.scale[at];
  }
}

}  // namespace potluck::gpu
