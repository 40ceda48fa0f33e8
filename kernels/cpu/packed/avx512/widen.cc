#include "kernels/cpu/packed/avx512/widen.h"

#include "kernels/cpu/packed/avx512.h"

namespace potluck::cpu::avx512 {

void widen_bf16(DType type, const void* blocks, int64_t values, uint16_t* out) {
  widen(type, blocks, values, out);
}

}  // namespace potluck::cpu::avx512
