// Weights in device memory, in the blocks that ggml defines (kernels/cpu/reference/dequantize.cc
// has each format).
#pragma once

#include <cstdint>

namespace potluck::gpu {

// The types that kernels multiply as they are stored.
enum class Stored : int32_t { f32, f16, bf16, q8_0, q4_0, q5_0, q5_1, iq4_nl, q4_k, q5_k, q6_k };

// A matrix [count · rows, columns] of stored blocks along each row.
struct Weights {
  const uint8_t* blocks;
  int64_t rows;     // of one matrix: outputs
  int64_t columns;  // inputs
  int64_t row_bytes;
  Stored type;
};

}  // namespace potluck::gpu
