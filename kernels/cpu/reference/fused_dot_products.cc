// Compiled with contraction, so that a product and its sum become one instruction.
#include "kernels/cpu/reference/fused_dot_products.h"

#include "kernels/cpu/reference/dot_rows.h"

namespace potluck::cpu {

POTLUCK_CLONES void fused_dot_products(ConstRows x, int64_t rows, ConstRows w, int64_t columns,
                                       int64_t terms, Rows out) {
  dot_rows(x, rows, w, columns, terms, out);
}

}  // namespace potluck::cpu
