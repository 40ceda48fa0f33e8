// A block sums the squares of its row, then scales it.
#include "kernels/gpu/reduce.h"
#include "kernels/gpu/rms_norm.h"

namespace potluck::gpu {

constexpr int kRmsNormThreads = 256;

GPU_KERNEL(rms_norm, RmsNorm, kRmsNormThreads) {
  GPU_SHARED(float, partial, [kRmsNormThreads / 32]);
  const float* x = a.x + block_x() * a.n;
  float* out = a.out + block_x() * a.n;
  float squares = 0;
  for (int64_t i = thread(); i < a.n; i += kRmsNormThreads) squares = fma(x[i], x[i], squares);
  const float sum = block_sum<kRmsNormThreads>(squares, partial);
  const float inverse = 1.0f / sqrt(sum / a.n + a.eps);
  for (int64_t i = thread(); i < a.n; i += kRmsNormThreads)
    out[i] = x[i] * inverse * (a.weight ? a.weight[i] : 1.0f);
}

}  // namespace potluck::gpu
