// The choice on x86-64, an instruction set at a time; portable_alone.cc stands in elsewhere.
#include "kernels/cpu/packed/choose.h"

#include "kernels/cpu/packed/amx.h"
#include "kernels/cpu/packed/avx2.h"
#include "kernels/cpu/packed/avx512.h"
#include "topology/base/check.h"

namespace potluck::cpu {
namespace {

const PackedProduct& avx2_product(DType type, Use use) {
  const bool fine = use == Use::fine || use == Use::finest;
  const PackedProduct* integers = fine ? nullptr : avx2::int8_product(type);
  if (!integers) integers = avx2::int16_product(type);
  return integers ? *integers : avx2::float_product();
}

const PackedProduct& avx512_product(DType type, Use use) {
  const bool fine = use == Use::fine || use == Use::finest;
  const PackedProduct* integers = avx512::int8_product(type, fine);
  return integers ? *integers : avx512::int16_product();
}

// Tiles of bf16 but where W must not be rounded. Values that are looked up are too dear to make
// bf16 of for few rows: AVX-512 multiplies them as bytes there.
const PackedProduct& amx_product(DType type, Use use) {
  if (use == Use::finest) return amx::int16_product();
  const PackedProduct* integers = amx::stored_product(type, use == Use::fine);
  if (!integers && use == Use::few) integers = avx512::int8_product(type, false);
  return integers ? *integers : amx::bf16_product(use == Use::fine);
}

}  // namespace

const PackedProduct& packed_product(Isa isa, DType type, Use use) {
  if (isa == Isa::amx) return amx_product(type, use);
  if (isa == Isa::avx512) return avx512_product(type, use);
  CHECK(isa == Isa::avx2, isa_name(isa), dtype_name(type));
  return avx2_product(type, use);
}

void dequantize_bf16(Isa isa, DType type, const void* blocks, int64_t values, uint16_t* out) {
  if (isa == Isa::amx) return amx::dequantize_bf16(type, blocks, values, out);
  if (isa == Isa::avx512) return avx512::dequantize_bf16(type, blocks, values, out);
  CHECK(isa == Isa::avx2, isa_name(isa), dtype_name(type));
  avx2::dequantize_bf16(type, blocks, values, out);
}

void pack_value_panel(Isa isa, const ValueRows& values, std::byte* panel) {
  if (isa == Isa::amx) return amx::pack_value_panel(values, panel);
  if (isa == Isa::avx512) return avx512::pack_value_panel(values, panel);
  CHECK(isa == Isa::avx2, isa_name(isa));
  avx2::pack_value_panel(values, panel);
}

}  // namespace potluck::cpu
