#include "kernels/cpu/packed_product.h"

#include "topology/check.h"
#if defined(__x86_64__)
#include "kernels/cpu/avx512/products.h"
#endif

namespace potluck::cpu {

const PackedProduct& packed_product(Isa isa, DType type, bool fine) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) {
    const PackedProduct* product = avx512::int8_product(type, fine);
    return product ? *product : avx512::bf16_product(fine);
  }
#endif
  CHECK(false, isa_name(isa), dtype_name(type), fine);
  __builtin_unreachable();
}

}  // namespace potluck::cpu
