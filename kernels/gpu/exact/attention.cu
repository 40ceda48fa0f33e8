// A block takes 16 rows of one query head.
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/attention_tile.h"

namespace potluck::gpu::exact_attention {

constexpr int kAttentionThreads = 256;

GPU_KERNEL(attention, Attention, kAttentionThreads) {
  GPU_SHARED(Shared, s, );
  const int first = a.first_row + block_x() * kRows, last = first + kRows, rows = a.params->rows;
  attend_rows<kAttentionThreads>(a, first, last < rows ? last : rows, block_y(), s);
}

}  // namespace potluck::gpu::exact_attention
