// A block sums the squares of its row, then scales it.
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/exact/rms_norm.h"

namespace potluck::gpu {

constexpr int kRmsNormThreads = 256;

GPU_KERNEL(rms_norm, RmsNorm, kRmsNormThreads) {
  GPU_SHARED(float, partial, [kRmsNormThreads / 32]);
  const float* x = a.x + block_x() * a.n;
  float* out = a.out + block_x() * a.n;
  const float inverse = inverse_rms<kRmsNormThreads>(x, a.n, a.eps, partial);
  for (int64_t i = thread(); i < a.n; i += kRmsNormThreads)
    out[i] = x[i] * inverse * (a.weight ? a.weight[i] : 1.0f);
}

}  // namespace potluck::gpu
