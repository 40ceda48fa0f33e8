// Rows in the form in which they travel from stage to stage.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

// A block takes kPackValues or kUnpackValues values: the grid is ⌈count / …⌉.
inline constexpr int kPackValues = 256, kUnpackValues = 2048;

// wire = x as `type` stores it: f32, bf16, f16 or q8_0, to the bits of cpu::quantize_row. Rows
// follow one another, so `count` is rows · n; with q8_0 n is a multiple of 32.
struct Pack {
  const float* x;
  uint8_t* wire;
  int64_t count;
  Stored type;
};

// x = the values of `type` at `wire`, to the bits of cpu::dequantize_row; the way back.
struct Unpack {
  const uint8_t* wire;
  float* x;
  int64_t count;
  Stored type;
};

}  // namespace potluck::gpu
