// Each thread touches one place, `stride` words from its neighbour's.
#include "tests/emulator/strided_kernels.h"

#include "kernels/gpu/device/gpu.h"

namespace potluck::gpu {

GPU_KERNEL(strided_loads, Strided, kStridedThreads) {
  const float value = a.in[thread() * a.stride];
  warp_sync();
  a.out[thread()] = value;
}

GPU_KERNEL(strided_shared, Strided, kStridedThreads) {
  GPU_SHARED(float, values, [kStridedThreads * 32]);
  values[thread() * a.stride] = static_cast<float>(thread());
  barrier();
  a.out[thread()] = values[thread() * a.stride];
}

GPU_KERNEL(wide_shared, Strided, kStridedThreads) {
  struct alignas(16) Words {
    uint64_t word[2];
  };
  GPU_SHARED(Words, values, [kStridedThreads * 8]);
  values[thread() * a.stride / 4].word[0] = 1;
  barrier();
  const Words value = values[thread() * a.stride / 4];
  a.out[thread()] = static_cast<float>(value.word[0]);
}

}  // namespace potluck::gpu
