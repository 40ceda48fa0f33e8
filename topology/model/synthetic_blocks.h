// Made-up blocks of stored types, for synthetic models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "topology/base/dtype.h"

namespace potluck {

bool has_synthetic_blocks(DType type);
std::string synthetic_types();  // "f32, bf16, …" for messages

// The type for rows of `columns` values that is asked for as `type`: itself, or where its blocks do
// not fit a row what quantizers take instead (q5_0 for q4_k, q8_0 for q6_k, iq4_nl for the low-bit
// ones).
DType synthetic_type(DType type, int64_t columns);

// Fills `bytes` bytes at `out` with blocks of a quantized type, random by `state`, so that the
// values' RMS is `rms` to some percent, at mxfp4 to a factor of √2.
void synthetic_blocks(DType type, float rms, uint64_t state, std::byte* out, uint64_t bytes);

uint64_t synthetic_mix(uint64_t x);  // a hash: splitmix64

}  // namespace potluck
