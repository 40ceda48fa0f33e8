// The packed products of AVX-512 (packed_product.h chooses).
#pragma once

#include <cstdint>

#include "kernels/cpu/packed_product.h"

namespace potluck::cpu::avx512 {

const PackedProduct* int8_product(DType type, bool fine);  // nullptr: no integer format
const PackedProduct& bf16_product(bool fine);              // any type
size_t bf16_term_bytes(int64_t columns);                   // between the terms of a bf16 row

void widen_bf16(DType type, const void* blocks, int64_t values, uint16_t* out);
void pack_value_panel(const uint16_t* values, int64_t stride, int64_t terms, int64_t count,
                      std::byte* panel);

}  // namespace potluck::cpu::avx512
