// Converts stored blocks to f32, bit for bit as ggml defines them (each function of dequantize.cc
// has its format), and back.
#pragma once

#include <cstdint>

#include "topology/base/dtype.h"

namespace potluck::cpu {

// out[0..values) = the values of the blocks at `blocks`. values: a multiple of the block's.
void dequantize_row(DType type, const void* blocks, float* out, int64_t values);

// quantize_row goes the way back, for hops (q8_0), caches (bf16) and synthetic models: f32, f16,
// bf16, q8_0 and q4_0 by rounding to nearest; other types CHECK.
bool can_quantize(DType type);
void quantize_row(DType type, const float* in, void* blocks, int64_t values);

// x[i] = x[i] rounded to `type` (f32: unchanged; bf16, f16), in place.
void round_to(DType type, float* x, int64_t values);

}  // namespace potluck::cpu
