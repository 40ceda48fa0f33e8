// fast_matmul with W's blocks as stored panels, by a product that unpacks them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/fast/matmul.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu {

size_t fast_stored_matmul_scratch(const PackedProduct& product, int64_t columns, int64_t rows_max,
                                  int threads);
void fast_stored_matmul(const PackedProduct& product, const FastMatmul& a, void* scratch,
                        ThreadPool& pool);

}  // namespace potluck::cpu
