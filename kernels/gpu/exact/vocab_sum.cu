// A block sums 64 rows and 64 columns.
#include "kernels/gpu/exact/vocab_sum_tile.h"

namespace potluck::gpu::vocab_summing {

GPU_KERNEL_OF_BLOCKS(vocab_sum, VocabSum, kThreads, 3) {
  GPU_SHARED(Shared, s, );
  sum_tile(a, block_y() * kRows, int64_t{block_x()} * kColumns, s);
}

}  // namespace potluck::gpu::vocab_summing
