// The types that kernels know, for those of a model file.
#include "backends/gpu/device_memory.h"

#include "topology/base/check.h"

namespace potluck {

gpu::Stored stored_type(DType type) {
  switch (type) {
    case DType::f32:
      return gpu::Stored::f32;
    case DType::f16:
      return gpu::Stored::f16;
    case DType::bf16:
      return gpu::Stored::bf16;
    case DType::q8_0:
      return gpu::Stored::q8_0;
    case DType::q4_0:
      return gpu::Stored::q4_0;
    case DType::q4_1:
      return gpu::Stored::q4_1;
    case DType::q5_0:
      return gpu::Stored::q5_0;
    case DType::q5_1:
      return gpu::Stored::q5_1;
    case DType::iq4_nl:
      return gpu::Stored::iq4_nl;
    case DType::iq4_xs:
      return gpu::Stored::iq4_xs;
    case DType::q2_k:
      return gpu::Stored::q2_k;
    case DType::q3_k:
      return gpu::Stored::q3_k;
    case DType::q4_k:
      return gpu::Stored::q4_k;
    case DType::q5_k:
      return gpu::Stored::q5_k;
    case DType::q6_k:
      return gpu::Stored::q6_k;
    case DType::iq2_xxs:
      return gpu::Stored::iq2_xxs;
    case DType::iq2_xs:
      return gpu::Stored::iq2_xs;
    case DType::iq2_s:
      return gpu::Stored::iq2_s;
    case DType::iq3_xxs:
      return gpu::Stored::iq3_xxs;
    case DType::iq3_s:
      return gpu::Stored::iq3_s;
    case DType::iq1_s:
      return gpu::Stored::iq1_s;
    case DType::iq1_m:
      return gpu::Stored::iq1_m;
    case DType::mxfp4:
      return gpu::Stored::mxfp4;
  }
  CHECK(false, static_cast<int>(type));
}

gpu::Stored float_type(DType type) {
  CHECK(type == DType::f32 || type == DType::f16 || type == DType::bf16, dtype_name(type));
  return stored_type(type);
}

gpu::Stored hop_type(DType type) {
  return type == DType::q8_0 ? gpu::Stored::q8_0 : float_type(type);
}

}  // namespace potluck
