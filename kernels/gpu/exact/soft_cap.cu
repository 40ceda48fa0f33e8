// A block caps a run of values.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/vocab_attention.h"

namespace potluck::gpu {

constexpr int kSoftCapThreads = 256;

GPU_KERNEL(soft_cap, SoftCap, kSoftCapThreads) {
  const int64_t begin = int64_t{block_x()} * kSoftCapValues;
  for (int i = thread(); i < kSoftCapValues; i += kSoftCapThreads)
    if (begin + i < a.n) a.x[begin + i] = softcap(a.x[begin + i], a.cap);
}

}  // namespace potluck::gpu
