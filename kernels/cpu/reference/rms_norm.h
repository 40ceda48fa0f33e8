// RMS norm (shard/MODEL.md §2.1).
#pragma once

#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"

namespace potluck::cpu {

float inverse_rms(const float* x, int64_t n, float eps);  // (mean(x²) + eps)^−½

// out = x · inverse_rms(x) ⊙ weight over n values; weight: [n], or nullptr for the weightless norm.
// x and out may be the same.
void rms_norm_row(const float* x, const float* weight, float eps, int64_t n, float* out);

// x: [rows, n]; weight: [n] or nullptr.
struct RmsNorm {
  const float* x;
  const float* weight;
  float eps;
};
// out[t,:] = the norm of x[t,:]. x and out may be the same.
void rms_norm(const RmsNorm& a, int64_t rows, int64_t n, float* out, ThreadPool& pool);

}  // namespace potluck::cpu
