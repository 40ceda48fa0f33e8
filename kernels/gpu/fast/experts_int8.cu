// Each block multiplies a panel of its tile's expert as panel_tile.h does.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/tile_work.h"
#include "kernels/gpu/fast/experts_int8.h"
#include "kernels/gpu/fast/panel_tile.h"
#include "kernels/gpu/fast/q8_value.h"

namespace potluck::gpu {

// The panel of a block's work, in an expert's [rows, columns].
template <Stored kType>
GPU_DEVICE const uint8_t* panel_of(const uint8_t* panels, const TileWork& work, int64_t rows,
                                   int64_t columns) {
  const int64_t panel = work.expert * panels_of(rows) + work.part;
  return panels + panel * panel_bytes(panel_format(kType), columns);
}

// The 32 outputs of a panel are a block of int8.
template <Stored kType>
GPU_DEVICE void gate_up_in_int8(const ExpertGateUpInt8<kType>& a, PanelTile& tile) {
  const TileWork work = find_work(a.tiles);
  if (work.part >= panels_of(2 * a.inner_size)) return;
  const int rows = work.end - work.first;
  if (thread() < kExpertInt8Rows) {
    const int32_t slot = a.order[work.first + (thread() < rows ? thread() : 0)];
    tile.x_block[thread()] = slot / a.used * (a.hidden / 32);
  }
  barrier();
  const uint8_t* panel = panel_of<kType>(a.panels, work, 2 * a.inner_size, a.hidden);
  panel_product<kType>({panel, a.x, a.hidden}, rows, tile);
  const int64_t i = work.part * 32 + lane();
  for (int row = warp(); row < rows; row += kPanelThreads / 32) {
    const int gate = lane() / 8 * 16 + lane() % 8;
    const float value = gelu(panel_sum(tile, row, gate)) * panel_sum(tile, row, gate + 8);
    const int64_t at = (work.first + row) * a.inner_size + i;
    if (a.q)
      store_q8(value, a.q + at, a.scale + at / 32);
    else if (i < a.inner_size)
      a.inner[at] = value;
  }
}

template <Stored kType>
GPU_DEVICE void down_in_int8(const ExpertDownInt8<kType>& a, PanelTile& tile) {
  const TileWork work = find_work(a.tiles);
  if (work.part >= panels_of(a.hidden)) return;
  const int rows = work.end - work.first;
  if (thread() < kExpertInt8Rows)
    tile.x_block[thread()] = (work.first + (thread() < rows ? thread() : 0)) * (a.inner_size / 32);
  barrier();
  const uint8_t* panel = panel_of<kType>(a.panels, work, a.hidden, a.inner_size);
  panel_product<kType>({panel, a.inner, a.inner_size}, rows, tile);
  const int output = thread() % kPanelRows;
  const int64_t o = panel_source(work.part, output, a.hidden);
  for (int row = thread() / kPanelRows; row < rows; row += kPanelThreads / kPanelRows)
    if (o < a.hidden) a.out[(work.first + row) * a.hidden + o] = panel_sum(tile, row, output);
}

// Fewer blocks have enough registers where a lane adds whole rows, and where a part has two sums.
template <Stored kType>
constexpr int kBlocks = kHasMma&& kPanelGroups<kType> == 1 ? 3 : 2;

#define POTLUCK_EXPERTS_IN_INT8(type)                                                        \
  GPU_KERNEL_OF_BLOCKS(expert_gate_up_##type, ExpertGateUpInt8<Stored::type>, kPanelThreads, \
                       kBlocks<Stored::type>) {                                              \
    GPU_SHARED(PanelTile, tile, );                                                           \
    gate_up_in_int8(a, tile);                                                                \
  }                                                                                          \
  GPU_KERNEL_OF_BLOCKS(expert_down_##type, ExpertDownInt8<Stored::type>, kPanelThreads,      \
                       kBlocks<Stored::type>) {                                              \
    GPU_SHARED(PanelTile, tile, );                                                           \
    down_in_int8(a, tile);                                                                   \
  }
POTLUCK_EXPERTS_IN_INT8(q8_0)
POTLUCK_EXPERTS_IN_INT8(q4_0)
POTLUCK_EXPERTS_IN_INT8(q5_0)
POTLUCK_EXPERTS_IN_INT8(q5_1)
POTLUCK_EXPERTS_IN_INT8(iq4_nl)
POTLUCK_EXPERTS_IN_INT8(q4_k)
POTLUCK_EXPERTS_IN_INT8(q5_k)
POTLUCK_EXPERTS_IN_INT8(q6_k)
#undef POTLUCK_EXPERTS_IN_INT8

}  // namespace potluck::gpu
