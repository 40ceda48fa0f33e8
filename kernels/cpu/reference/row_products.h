// The two products of the reference, blocked so that operands stay in registers and caches. Each
// sum runs in an order fixed by its length alone (lanes.h), whatever the blocking, so a row's bits
// do not depend on the rows and columns computed beside it.
#pragma once

#include <cstdint>

#include "kernels/cpu/reference/rows.h"

namespace potluck::cpu {

// out[r, c] = Σ_i x[r, i] · w[c, i] over `terms`; lane j of 16 sums i ≡ j (mod 16) in order.
void dot_products(ConstRows x, int64_t rows, ConstRows w, int64_t columns, int64_t terms, Rows out);

// out[r, i] += Σ_j p[r, j] · v[j, i], j in order, i < columns.
void add_weighted_sums(ConstRows p, int64_t rows, ConstRows v, int64_t terms, int64_t columns,
                       Rows out);

}  // namespace potluck::cpu
