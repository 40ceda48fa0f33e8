// The dot products of products.h with fused multiply-adds: this file is compiled with contraction.
#include "kernels/cpu/reference/dot_rows.h"
#include "kernels/cpu/reference/products.h"

namespace potluck::cpu {

POTLUCK_CLONES void fused_dot_products(ConstRows x, int64_t rows, ConstRows w, int64_t columns,
                                       int64_t terms, Rows out) {
  dot_rows(x, rows, w, columns, terms, out);
}

}  // namespace potluck::cpu
