// The packed products of AVX2; choose.h chooses among them.
#pragma once

#include <cstdint>

#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu::avx2 {

// nullptr for a type that has no integer blocks, or (int8) blocks of 8 bits.
const PackedProduct* int8_product(DType type);
const PackedProduct* int16_product(DType type);
const PackedProduct& float_product();  // for any type

void dequantize_bf16(DType type, const void* blocks, int64_t values, uint16_t* out);
void pack_value_panel(const ValueRows& values, std::byte* panel);

}  // namespace potluck::cpu::avx2
