// The experts of a layer (shard/MODEL.md §2.4) in f32: rows are grouped by expert, pass through it
// together, and are summed a token at a time.
//
// Slot t·used + k is the k-th expert of row t. order [slots] has the slot at each grouped place,
// place [slots] the place of each slot, begin [experts + 1] where an expert's places begin; the
// host knows none of them, so grids have room for any grouping.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

// A block takes up to kExpertRows places of one expert by kGateUpOutputs or kDownOutputs outputs:
// the grid is ⌈outputs / …⌉ × expert_tiles(slots, experts).
inline constexpr int kExpertRows = 32, kGateUpOutputs = 32, kDownOutputs = 64;

// An expert leaves less than one tile unfilled.
constexpr int64_t expert_tiles(int64_t slots, int64_t experts) {
  return slots / kExpertRows + (slots < experts ? slots : experts);
}

// inner[p, i] = gelu(gate_i · x[t]) · (up_i · x[t]) for row t of the slot at place p.
struct ExpertGateUp {
  const float* x;   // [rows, H]
  Weights gate_up;  // [experts · 2·inner, H], gate rows first in each expert
  const int32_t *order, *begin;
  float* inner;  // [slots, inner]
  int32_t experts, used;
};

// out[p, o] = Σ_i inner[p, i] · down[e, o, i] for the expert e at place p.
struct ExpertDown {
  const float* inner;  // [slots, inner]
  Weights down;        // [experts · H, inner]
  const int32_t* begin;
  float* out;  // [slots, H]
  int32_t experts;
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
