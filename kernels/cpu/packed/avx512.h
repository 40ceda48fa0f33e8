// The packed products of AVX-512; choose.h chooses among them.
#pragma once

#include <cstdint>

#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu::avx512 {

// nullptr for a type that has no integer blocks.
const PackedProduct* int8_product(DType type, bool fine);
const PackedProduct& int16_product();  // for any type

void dequantize_bf16(DType type, const void* blocks, int64_t values, uint16_t* out);
void pack_value_panel(const ValueRows& values, std::byte* panel);

}  // namespace potluck::cpu::avx512
