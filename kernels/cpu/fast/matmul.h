// Products with a stored weight matrix by packed products.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/packed/packed_product.h"
#include "kernels/cpu/reference/weight_view.h"

namespace potluck::cpu {

// x: [rows, w.columns]; out: [rows, w.rows].
struct FastMatmul {
  const float* x;
  int64_t rows;
  WeightView w;
  float* out;
};

size_t fast_matmul_scratch(const PackedProduct& product, int64_t columns, int64_t rows_max,
                           int threads);

// out = x · Wᵀ with x in int8 blocks of 32 or in bf16, one term or two, as packed_product.h has it.
// scratch is 64-byte aligned.
void fast_matmul(const PackedProduct& product, const FastMatmul& a, void* scratch,
                 ThreadPool& pool);

}  // namespace potluck::cpu
