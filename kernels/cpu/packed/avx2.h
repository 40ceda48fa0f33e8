// The packed products of AVX2 (choose.h chooses).
#pragma once

#include <cstdint>

#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu::avx2 {

const PackedProduct* int8_product(DType type);   // nullptr: no integer format of under 8 bits
const PackedProduct* int16_product(DType type);  // nullptr: no integer format
const PackedProduct& float_product();            // any type
void widen_bf16(DType type, const void* blocks, int64_t values, uint16_t* out);
void pack_value_panel(const ValueRows& values, std::byte* panel);

}  // namespace potluck::cpu::avx2
