// dot_products of row_products.h, each product and its sum rounded once where the processor can:
// twice as fast, for the fast kernels.
#pragma once

#include <cstdint>

#include "kernels/cpu/reference/rows.h"

namespace potluck::cpu {

void fused_dot_products(ConstRows x, int64_t rows, ConstRows w, int64_t columns, int64_t terms,
                        Rows out);

}  // namespace potluck::cpu
