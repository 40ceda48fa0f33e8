// dequantize_bf16 for those who call from outside of this folder.
#include "kernels/cpu/packed/avx512/dequantize.h"

#include "kernels/cpu/packed/avx512.h"

namespace potluck::cpu::avx512 {

void dequantize_bf16(DType type, const void* blocks, int64_t values, uint16_t* out) {
  dequantize(type, blocks, values, out);
}

}  // namespace potluck::cpu::avx512
