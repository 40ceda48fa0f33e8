// The end of each half of a layer: a normed branch, or the norm of a sum of two, is added to the
// residual (shard/MODEL.md §2.2).
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"
#include "topology/base/segment.h"

namespace potluck::gpu {

// A branch is h, [rows, n], or with a norm's weight [n] rms(h[t,:]) ⊙ norm; without h it is
// nothing.
struct Branch {
  const float* h;
  const float* norm;
};

// out[t,:] = (x[t,:] + rms(first[t,:] + second[t,:]) ⊙ weight) · scale[mode of t], rounded to
// `stream` (f32, bf16 or f16), [rows, n]. The first branch has h; scale is [2], or nullptr for 1.
// out is none of the operands. A block takes a row; rows of no segment stay as they are.
struct AddNorm {
  const StepParams* params;
  const float* x;
  Branch first, second;
  const float* weight;  // [n]
  const float* scale;
  float* out;
  int64_t n;
  float eps;
  Stored stream;
};

}  // namespace potluck::gpu
