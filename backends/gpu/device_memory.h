// A tensor's address on the card as the type that lies there, and other small change of the
// operations.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/tensor.h"
#include "kernels/gpu/device/stored.h"
#include "topology/base/dtype.h"
#include "topology/base/segment.h"

namespace potluck {

template <typename Value>
Value* at(Tensor tensor, size_t offset = 0) {
  return tensor.empty() ? nullptr
                        : reinterpret_cast<Value*>(static_cast<std::byte*>(tensor.data) + offset);
}

// The tensor without its first `bytes`.
inline Tensor behind(Tensor tensor, size_t bytes) {
  return {at<std::byte>(tensor, bytes), tensor.bytes - bytes};
}

inline float* f32(Tensor tensor) {
  return at<float>(tensor);
}

inline int32_t* i32(Tensor tensor) {
  return at<int32_t>(tensor);
}

// The kernels' name for a type.
gpu::Stored stored_type(DType type);
// f32, f16 or bf16, which streams and caches may have; hops may be q8_0 too.
gpu::Stored float_type(DType type);
gpu::Stored hop_type(DType type);

// How many blocks of `each` cover n.
inline int64_t blocks_of(int64_t n, int64_t each) {
  return (n + each - 1) / each;
}

inline const StepParams* params(Tensor tensor) {
  return at<const StepParams>(tensor);
}

}  // namespace potluck
