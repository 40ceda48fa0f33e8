// Weights in device memory, in the blocks that ggml defines (kernels/cpu/reference/dequantize.cc
// has each format).
#pragma once

#include <cstdint>

namespace potluck::gpu {

// The types of stored matrices. Kernels multiply all of them as they are stored.
enum class Stored : int32_t {
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q5_0,
  q5_1,
  iq4_nl,
  q4_k,
  q5_k,
  q6_k,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq3_xxs,
  iq3_s,
  iq1_s,
  iq1_m,
  mxfp4,
  q4_1,
  q2_k,
  q3_k,
  iq4_xs
};

// A matrix [count · rows, columns] of stored blocks along each row.
struct Weights {
  const uint8_t* blocks;
  int64_t rows;     // of one matrix: outputs
  int64_t columns;  // inputs
  int64_t row_bytes;
  Stored type;
};

}  // namespace potluck::gpu
