// Each block multiplies its tile as product_tile.h does.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/product_tile.h"
#include "kernels/gpu/exact/experts.h"
#include "kernels/gpu/exact/tile_work.h"

namespace potluck::gpu {

// Gate and up of an output are neighbours in the tile, so that a thread has both.
GPU_KERNEL(expert_gate_up, ExpertGateUp, kTileThreads) {
  GPU_SHARED(ProductTile<kExpertRows>, tile, );
  const TileWork work = find_work(a.tiles);
  const int64_t inner = a.gate_up.rows / 2, columns = a.gate_up.columns;
  const int64_t first_output = work.part * kGateUpOutputs;
  if (first_output >= inner) return;
  if (thread() < kExpertRows) {
    const int64_t at = work.first + thread();
    tile.x_row[thread()] = at < work.end ? a.x + a.order[at] / a.used * columns : nullptr;
  }
  if (thread() < kTileOutputs) {
    const int64_t i = first_output + thread() / 2;
    const int64_t row = (work.expert * 2 + thread() % 2) * inner + i;
    tile.w_row[thread()] = i < inner ? a.gate_up.blocks + row * a.gate_up.row_bytes : nullptr;
  }
  barrier();
  float sums[kExpertRows / 16][4];
  tile_product(a.gate_up.type, columns, tile, sums);
  GPU_UNROLL
  for (int s = 0; s < kExpertRows / 16 * 2; ++s) {
    const int64_t at = work.first + tile_row<kExpertRows>() + s / 2;
    const int64_t i = first_output + tile_output() / 2 + s % 2;
    const float gate = sums[s / 2][s % 2 * 2], up = sums[s / 2][s % 2 * 2 + 1];
    if (at < work.end && i < inner) a.inner[at * inner + i] = gelu(gate) * up;
  }
}

GPU_KERNEL(expert_down, ExpertDown, kTileThreads) {
  GPU_SHARED(ProductTile<kExpertRows>, tile, );
  const TileWork work = find_work(a.tiles);
  const int64_t hidden = a.down.rows, columns = a.down.columns;
  const int64_t first_output = work.part * kDownOutputs;
  if (first_output >= hidden) return;
  if (thread() < kExpertRows) {
    const int64_t at = work.first + thread();
    tile.x_row[thread()] = at < work.end ? a.inner + at * columns : nullptr;
  }
  if (thread() < kTileOutputs) {
    const int64_t o = first_output + thread(), row = work.expert * hidden + o;
    tile.w_row[thread()] = o < hidden ? a.down.blocks + row * a.down.row_bytes : nullptr;
  }
  barrier();
  float sums[kExpertRows / 16][4];
  tile_product(a.down.type, columns, tile, sums);
  GPU_UNROLL
  for (int s = 0; s < kExpertRows / 16 * 4; ++s) {
    const int64_t at = work.first + tile_row<kExpertRows>() + s / 4;
    const int64_t o = first_output + tile_output() + s % 4;
    if (at < work.end && o < hidden) a.out[at * hidden + o] = sums[s / 4][s % 4];
  }
}

constexpr int kSumThreads = 256;

GPU_KERNEL(sum_slots, SumSlots, kSumThreads) {
  const int64_t first = int64_t{block_x()} * a.used;
  for (int64_t i = thread(); i < a.n; i += kSumThreads) {
    float sum = 0;
    for (int64_t slot = first; slot < first + a.used; ++slot)
      sum = fma(a.weight[slot], a.down[a.place[slot] * a.n + i], sum);
    a.out[block_x() * a.n + i] = sum;
  }
}

}  // namespace potluck::gpu
