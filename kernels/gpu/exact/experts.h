// The experts of a layer (shard/MODEL.md §2.4) in f32: rows are grouped by expert, pass through it
// together, and are summed a token at a time.
//
// Slot t·used + k is the k-th expert of row t. order [slots] has the slot at each grouped place,
// place [slots] the place of each slot, tiles what blocks take; the host knows none of them, so
// grids have room for any grouping.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"
#include "kernels/gpu/exact/group_rows.h"

namespace potluck::gpu {

// Tiles have up to kExpertRows places. A block takes one, by kGateUpOutputs or kDownOutputs
// outputs: the grid has row_tiles_most(slots, experts, tile_rows) blocks for each of ⌈outputs / …⌉
// parts.
inline constexpr int kExpertRows = 32, kGateUpOutputs = 32, kDownOutputs = 64;

// inner[p, i] = gelu(gate_i · x[t]) · (up_i · x[t]) for row t of the slot at place p.
struct ExpertGateUp {
  const float* x;   // [rows, H]
  Weights gate_up;  // [experts · 2·inner, H], gate rows first in each expert
  RowTiles tiles;
  const int32_t* order;
  float* inner;  // [slots, inner]
  int32_t used;
};

// out[p, o] = Σ_i inner[p, i] · down[e, o, i] for the expert e at place p.
struct ExpertDown {
  const float* inner;  // [slots, inner]
  Weights down;        // [experts · H, inner]
  RowTiles tiles;
  float* out;  // [slots, H]
};

// out[t, :] = Σ_k weight[t, k] · down[place[t, k], :] in the order of k, [rows, n]. A block takes a
// row.
struct SumSlots {
  const float* down;  // [slots, n]
  const int32_t* place;
  const float* weight;  // [rows, used]
  float* out;
  int64_t n;
  int32_t used;
};

}  // namespace potluck::gpu
