// The packed products of AVX-512 (choose.h chooses).
#pragma once

#include <cstdint>

#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu::avx512 {

const PackedProduct* int8_product(DType type, bool fine);  // nullptr: no integer format
const PackedProduct& int16_product();                      // any type

void widen_bf16(DType type, const void* blocks, int64_t values, uint16_t* out);
void pack_value_panel(const ValueRows& values, std::byte* panel);

}  // namespace potluck::cpu::avx512
