// A block takes 16 rows of one query head.
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/attention_tile.h"

namespace potluck::gpu::exact_attention {

constexpr int kAttentionThreads = 256;

template <Stored kType>
GPU_DEVICE void run(const Attention& a, Shared& s) {
  const int first = a.first_row + block_x() * kRows, last = first + kRows, rows = a.params->rows;
  const auto b =
      attend_rows<kType, kAttentionThreads>(a, first, last < rows ? last : rows, block_y(), {}, s);
  GPU_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const int row = b.first_row + r;
    if (row >= b.end_row) continue;
    float* out = a.out + (int64_t{row} * a.heads + b.head) * a.head_dim;
    // Adding 0 makes −0 0, which a key that the row does not see would have done too.
    GPU_UNROLL
    for (int i = 0; i < b.kColumns; ++i) {
      const int column = thread() + i * kAttentionThreads;
      if (column < a.head_dim) out[column] = b.out[i][r] / s.masses[r] + 0.0f;
    }
  }
}

GPU_KERNEL(attention, Attention, kAttentionThreads) {
  GPU_SHARED(Shared, s, );
  if (a.type == Stored::f32)
    run<Stored::f32>(a, s);
  else if (a.type == Stored::f16)
    run<Stored::f16>(a, s);
  else
    run<Stored::bf16>(a, s);
}

}  // namespace potluck::gpu::exact_attention
