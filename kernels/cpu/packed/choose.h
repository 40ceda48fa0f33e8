// Chooses, for an instruction set that is available and not portable, what multiplies, dequantizes
// and packs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/isa.h"
#include "kernels/cpu/packed/packed_product.h"
#include "topology/base/dtype.h"

namespace potluck::cpu {

// Use says what a product is for: many rows a panel (a dense matrix), few (an expert: about 16);
// fine and finest as packed_product.h has them, for many rows.
enum class Use : uint8_t { many, few, fine, finest };

const PackedProduct& packed_product(Isa isa, DType type, Use use = Use::many);

// out = the values of stored blocks in bf16, as dequantize_row and a rounding make them; `values`
// is a multiple of the block's.
void dequantize_bf16(Isa isa, DType type, const void* blocks, int64_t values, uint16_t* out);

// Packs values as a panel for the product of DType::bf16: out[r, c] = Σ_j x_r[j] · values[j, c].
// Where that is a product of integers, a column's values in rows that stay `together` share a
// scale, so that a row's rounding depends on those beside it, unless `most` is given: then all of
// them have that one's.
void pack_value_panel(Isa isa, const ValueRows& values, std::byte* panel);

}  // namespace potluck::cpu
