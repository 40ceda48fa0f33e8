// A thread takes a value.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/gelu_mul.h"

namespace potluck::gpu {

GPU_KERNEL(gelu_mul, GeluMul, kGeluMulValues) {
  const int64_t i = int64_t{block_x()} * kGeluMulValues + thread();
  if (i < a.count) a.out[i] = gelu(a.gate[i]) * a.up[i];
}

}  // namespace potluck::gpu
