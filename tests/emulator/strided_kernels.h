// Kernels whose accesses are known by their strides.
#pragma once

#include <cstdint>

namespace potluck::gpu {

inline constexpr int kStridedThreads = 64;

struct Strided {
  float* out;
  const float* in;
  int32_t stride;  // words from lane to lane
};

#define POTLUCK_STRIDED_KERNELS(X) \
  X(strided_loads)                 \
  X(strided_shared)                \
  X(wide_shared)

}  // namespace potluck::gpu
