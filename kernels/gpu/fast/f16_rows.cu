// A block finds the largest value of its row, then rounds it.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/fast/f16_rows.h"

namespace potluck::gpu {

constexpr int kF16RowsThreads = 256;

GPU_KERNEL(f16_rows, F16Rows, kF16RowsThreads) {
  GPU_SHARED(float, partial, [kF16RowsThreads / 32]);
  const float* x = a.x + block_x() * a.n;
  uint16_t* out = a.out + block_x() * a.stride;
  float most = 0;
  for (int64_t i = thread(); i < a.n; i += kF16RowsThreads) {
    const float size = x[i] < 0 ? -x[i] : x[i];
    most = size > most ? size : most;
  }
  most = warp_max(most);
  if (lane() == 0) partial[warp()] = most;
  barrier();
  for (const float other : partial) most = other > most ? other : most;
  const int exponent = static_cast<int>(bits_of(most) >> 23) - 127;
  const int shift = exponent < -86 ? -100 : exponent - 14;
  for (int64_t i = thread(); i < a.stride; i += kF16RowsThreads)
    out[i] = i < a.n ? float_to_f16(x[i] * power_of_two(-shift)) : 0;
  if (thread() == 0) a.scale[block_x()] = power_of_two(shift);
}

}  // namespace potluck::gpu
