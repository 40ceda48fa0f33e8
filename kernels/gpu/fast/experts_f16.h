// The experts of a layer as kernels/gpu/exact/experts.h has them, with products in f16 and sums in
// f32.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"
#include "kernels/gpu/exact/group_rows.h"

namespace potluck::gpu {

// Tiles have up to kExpertF16Rows places. A block takes one, by kGateUpF16Outputs or
// kDownF16Outputs outputs: the grid has row_tiles_most(slots, experts, tile_rows) blocks for each
// of ⌈outputs / …⌉ parts.
inline constexpr int kExpertF16Rows = 32, kGateUpF16Outputs = 64, kDownF16Outputs = 128;

// inner[p, i] = gelu(gate_i · x[t]) · (up_i · x[t]) for row t of the slot at place p.  x: [rows,
// f16_stride(H)] and scale: [rows] as F16Rows leaves them.
struct ExpertGateUpF16 {
  const uint16_t* x;
  const float* scale;
  Weights gate_up;  // [experts · 2·inner, H], gate rows first in each expert
  RowTiles tiles;
  const int32_t* order;
  float* inner;  // [slots, inner]
  int32_t used;
};

// out[p, o] = Σ_i inner[p, i] · down[e, o, i] for the expert e at place p.  inner: [slots,
// f16_stride(inner)] and scale: [slots] as F16Rows leaves them.
struct ExpertDownF16 {
  const uint16_t* inner;
  const float* scale;
  Weights down;  // [experts · H, inner]
  RowTiles tiles;
  float* out;  // [slots, H]
};

}  // namespace potluck::gpu
