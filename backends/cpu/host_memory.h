// Reads a tensor of CpuBackend, whose device memory is the host's own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/tensor.h"
#include "topology/base/segment.h"

namespace potluck {

inline float* f32(Tensor tensor) {
  return static_cast<float*>(tensor.data);
}

inline int32_t* i32(Tensor tensor) {
  return static_cast<int32_t*>(tensor.data);
}

inline std::byte* bytes_at(Tensor tensor, size_t offset) {
  return static_cast<std::byte*>(tensor.data) + offset;
}

inline const StepParams& step_params(Tensor params) {
  return *static_cast<const StepParams*>(params.data);
}

}  // namespace potluck
