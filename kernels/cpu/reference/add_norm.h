// add_norm adds a normed branch, or the norm of a sum of two, to the residual: the end of each half
// of a layer (shard/MODEL.md §2.1).
#pragma once

#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"
#include "topology/base/dtype.h"

namespace potluck::cpu {

// A branch is h, [rows, n], or with a norm's weight [n] rms(h[t,:]) ⊙ norm; without h it is
// nothing.
struct Branch {
  const float* h = nullptr;
  const float* norm = nullptr;
};

// out[t,:] = (x1[t,:] + rms(h[t,:]) ⊙ weight) · scale, rounded to `stream`; h[t,:] is the sum of
// the branches, of which the second needs a first. out is none of the operands.
struct AddNorm {
  const float* x1;
  Branch first, second;
  const float* weight;
  float eps, scale;
  DType stream;
};
void add_norm(const AddNorm& a, int64_t rows, int64_t n, float* out, ThreadPool& pool);

}  // namespace potluck::cpu
