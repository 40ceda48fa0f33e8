// The experts of a layer as kernels/gpu/exact/experts.h has them, in int8, with matrices in panels.
// A layer's two matrices may have different types: each type has its own two kernels.
#pragma once

#include <cstdint>

#include "kernels/gpu/exact/group_rows.h"
#include "kernels/gpu/fast/panels.h"
#include "kernels/gpu/fast/q8_rows.h"

namespace potluck::gpu {

// Tiles have up to as many places. A block takes one, by a panel: the grid has
// row_tiles_most(slots, experts, kExpertInt8Rows) blocks for each panel.
inline constexpr int kExpertInt8Rows = 24;

// The rows that Q8Rows leaves: q [rows, n] and scale [rows, n / 32].
struct Q8Operand {
  const int8_t* q;
  const Q8Scale* scale;
};

// inner[p, i] = gelu(gate_i · x[t]) · (up_i · x[t]) for row t of the slot at place p; rounded to
// int8 in blocks of 32 as Q8Rows does where q is there, else in f32.
template <Stored kType>
struct ExpertGateUpInt8 {
  Q8Operand x;            // [rows, hidden]
  const uint8_t* panels;  // of each expert's [2·inner, hidden], gate rows first
  RowTiles tiles;
  const int32_t* order;
  float* inner;    // [slots, inner]
  int8_t* q;       // [slots, inner]
  Q8Scale* scale;  // [slots, inner / 32]
  int64_t inner_size, hidden;
  int32_t used;
};

// out[p, o] = Σ_i inner[p, i] · down[e, o, i] for the expert e at place p.
template <Stored kType>
struct ExpertDownInt8 {
  Q8Operand inner;        // [slots, inner]
  const uint8_t* panels;  // of each expert's [hidden, inner]
  RowTiles tiles;
  float* out;  // [slots, hidden]
  int64_t inner_size, hidden;
};

}  // namespace potluck::gpu
