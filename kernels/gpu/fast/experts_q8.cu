// Each block finds its tile in the groups, and multiplies a panel by it as q8_tile.h does.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/grouped_tile.h"
#include "kernels/gpu/fast/experts_q8.h"
#include "kernels/gpu/fast/q8_tile.h"
#include "kernels/gpu/fast/q8_value.h"

namespace potluck::gpu {

static_assert(kExpertQ8Rows == kQ8TileRows);

GPU_DEVICE const uint8_t* panel_of(const uint8_t* panels, int64_t expert, int64_t rows,
                                   int64_t columns) {
  const int64_t of_expert = (rows + kPanelRows - 1) / kPanelRows;
  return panels + (expert * of_expert + block_x()) * (columns / kPanelColumns) * kPanelBytes;
}

GPU_DEVICE void set_row(Q8Tile& tile, const Q8Operand& x, int64_t row, int64_t columns) {
  tile.x_row[thread()] = x.q + row * columns;
  tile.scale_row[thread()] = x.scale + row * (columns / 32);
}

// The 32 outputs of a panel are a block of int8.
GPU_KERNEL(expert_gate_up_q8, ExpertGateUpQ8, kQ8TileThreads) {
  GPU_SHARED(Q8Tile, tile, );
  const GroupedTile group = find_tile<kExpertQ8Rows>(a.begin, a.experts, block_y());
  if (group.first == group.end) return;
  const int rows = group.end - group.first;
  if (thread() < kExpertQ8Rows)
    set_row(tile, a.x, a.order[group.first + (thread() < rows ? thread() : 0)] / a.used, a.hidden);
  barrier();
  q8_tile_product(panel_of(a.panels, group.expert, 2 * a.inner_size, a.hidden), a.hidden, rows,
                  tile);
  for (int row = warp(); row < rows; row += kQ8TileThreads / 32) {
    const int gate = lane() / 8 * 16 + lane() % 8;
    const float value = gelu(q8_sum(tile, row, gate)) * q8_sum(tile, row, gate + 8);
    const int64_t block = (group.first + row) * (a.inner_size / 32) + block_x();
    store_q8(value, a.inner + block * 32 + lane(), a.scale + block);
  }
}

GPU_KERNEL(expert_down_q8, ExpertDownQ8, kQ8TileThreads) {
  GPU_SHARED(Q8Tile, tile, );
  const GroupedTile group = find_tile<kExpertQ8Rows>(a.begin, a.experts, block_y());
  if (group.first == group.end) return;
  const int rows = group.end - group.first;
  if (thread() < kExpertQ8Rows)
    set_row(tile, a.inner, group.first + (thread() < rows ? thread() : 0), a.inner_size);
  barrier();
  q8_tile_product(panel_of(a.panels, group.expert, a.hidden, a.inner_size), a.inner_size, rows,
                  tile);
  const int output = thread() % kPanelRows;
  const int64_t o = int64_t{block_x()} * kPanelRows + output;
  for (int row = thread() / kPanelRows; row < rows; row += kQ8TileThreads / kPanelRows)
    if (o < a.hidden) a.out[(group.first + row) * a.hidden + o] = q8_sum(tile, row, output);
}

}  // namespace potluck::gpu
