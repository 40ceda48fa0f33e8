// The packed products of AMX (choose.h chooses).
#pragma once

#include <cstdint>

#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu::amx {

// Asks the system for the tiles, once a process and before its threads start, and sees whether they
// multiply a known product right. False: absent, refused or wrong.
bool tiles_work();

const PackedProduct& bf16_product(bool fine);  // any type
const PackedProduct& int16_product();          // any type
// bf16_product with stored panels; nullptr: no blocks of integers.
const PackedProduct* stored_product(DType type, bool fine);

void widen_bf16(DType type, const void* blocks, int64_t values, uint16_t* out);
void pack_value_panel(const ValueRows& values, std::byte* panel);

}  // namespace potluck::cpu::amx
