// The packed products of AMX; choose.h chooses among them.
#pragma once

#include <cstdint>

#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu::amx {

// Asks the system for the tiles, once a process and before its threads start, and checks that they
// multiply a known product right. False if they are absent, refused or wrong.
bool tiles_work();

const PackedProduct& bf16_product(bool fine);  // for any type
const PackedProduct& int16_product();          // for any type
// The same with stored panels; nullptr for a type without integer blocks, of a grid or of levels.
const PackedProduct* stored_product(DType type, bool fine);

void dequantize_bf16(DType type, const void* blocks, int64_t values, uint16_t* out);
void pack_value_panel(const ValueRows& values, std::byte* panel);

}  // namespace potluck::cpu::amx
