// A canvas' input x0 (shard/MODEL.md §4).
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"
#include "topology/base/segment.h"

namespace potluck::gpu {

// out[t,:] = rms₀(x[t,:] + s[t,:]) on denoise rows and x[t,:] on encode rows, rounded to `stream`
// (f32, bf16 or f16), [rows, n]. s may be nullptr for zero; out may be x. A block takes a row; rows
// of no segment stay as they are.
struct CanvasInput {
  const StepParams* params;
  const float* x;
  const float* s;
  float* out;
  int64_t n;
  float eps;
  Stored stream;
};

}  // namespace potluck::gpu
