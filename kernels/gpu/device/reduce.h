// Sums and maxima over the lanes of a warp and the threads of a block, in an order that depends on
// nothing but their number.
#pragma once

#include "kernels/gpu/device/gpu.h"

namespace potluck::gpu {

// Every lane gets the sum.
GPU_DEVICE float warp_sum(float value) {
  GPU_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

GPU_DEVICE float warp_max(float value) {
  GPU_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) {
    const float other = shuffle_xor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}

// Every thread of a block of kThreads gets the sum. `partial` is shared memory that nothing else
// uses until the next barrier.
template <int kThreads>
GPU_DEVICE float block_sum(float value, float (&partial)[kThreads / 32]) {
  value = warp_sum(value);
  barrier();
  if (lane() == 0) partial[warp()] = value;
  barrier();
  float sum = 0;
  GPU_UNROLL
  for (int i = 0; i < kThreads / 32; ++i) sum += partial[i];
  return sum;
}

// 1 / rms of n values, for every thread of a block of kThreads.
template <int kThreads>
GPU_DEVICE float inverse_rms(const float* x, int64_t n, float eps,
                             float (&partial)[kThreads / 32]) {
  float squares = 0;
  for (int64_t i = thread(); i < n; i += kThreads) squares = fma(x[i], x[i], squares);
  return 1.0f / sqrt(block_sum<kThreads>(squares, partial) / n + eps);
}

}  // namespace potluck::gpu
