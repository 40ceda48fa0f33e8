// Stands in for available.cc and choose.cc where the processor is no x86-64, or the compiler not
// GCC: only the reference kernels are there, so nothing is there to choose.
#include "kernels/cpu/packed/available.h"
#include "kernels/cpu/packed/choose.h"
#include "topology/base/check.h"

namespace potluck::cpu {

bool isa_available(Isa isa) {
  return isa == Isa::portable;
}

Isa best_isa() {
  return Isa::portable;
}

const PackedProduct& packed_product(Isa isa, DType type, Use) {
  CHECK(false, isa_name(isa), dtype_name(type));
  __builtin_unreachable();
}

void dequantize_bf16(Isa isa, DType type, const void*, int64_t, uint16_t*) {
  CHECK(false, isa_name(isa), dtype_name(type));
}

void pack_value_panel(Isa isa, const ValueRows&, std::byte*) {
  CHECK(false, isa_name(isa));
}

}  // namespace potluck::cpu
