// The experts of a layer as kernels/gpu/exact/experts.h has them, in int8 with panels of stored
// q8_0.
#pragma once

#include <cstdint>

#include "kernels/gpu/fast/q8_panels.h"

namespace potluck::gpu {

// A block takes up to kExpertQ8Rows places of one expert by kGateUpQ8Outputs or kDownQ8Outputs
// outputs: the grid is ⌈outputs / …⌉ × expert_q8_tiles(slots, experts).
inline constexpr int kExpertQ8Rows = 24, kGateUpQ8Outputs = 32, kDownQ8Outputs = 64;

constexpr int64_t expert_q8_tiles(int64_t slots, int64_t experts) {
  return slots / kExpertQ8Rows + (slots < experts ? slots : experts);
}

// The rows that Q8Rows leaves: q [rows, n] and scale [rows, n / 32].
struct Q8Operand {
  const int8_t* q;
  const float* scale;
};

// inner[p, i] = gelu(gate_i · x[t]) · (up_i · x[t]) for row t of the slot at place p, rounded to
// int8 in blocks of 32 as Q8Rows does.
struct ExpertGateUpQ8 {
  Q8Operand x;            // [rows, hidden]
  const uint8_t* panels;  // of [experts · 2·inner, hidden] in PanelOrder::gate_up
  const int32_t *order, *begin;
  int8_t* inner;  // [slots, inner]
  float* scale;   // [slots, inner / 32]
  int64_t inner_size, hidden;
  int32_t experts, used;
};

// out[p, o] = Σ_i inner[p, i] · down[e, o, i] for the expert e at place p.
struct ExpertDownQ8 {
  Q8Operand inner;        // [slots, inner]
  const uint8_t* panels;  // of [experts · hidden, inner]
  const int32_t* begin;
  float* out;  // [slots, hidden]
  int64_t inner_size, hidden;
  int32_t experts;
};

}  // namespace potluck::gpu
