// Attention in f16 by spans of keys: on matrix units (attention_block.h), and in f32 where there
// are none (attention_tile.h).
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/attention_tile.h"
#include "kernels/gpu/fast/attention_mma.h"
#include "kernels/gpu/fast/attention_wmma.h"

namespace potluck::gpu::mma_attention {

// Block is that of the card's matrix units.
template <typename Block>
GPU_DEVICE void attend_block(const AttentionF16& a, const Place& place, Shared& s) {
  Block b = {};
  for (float& max : b.max) max = kLeast;
  bool loaded = false;
  for (int i = 0; i < a.params->segment_count; ++i)
    attend_segment(a, place, a.params->segments[i], loaded, s, b);
  store(a, place, b);
}

template <Stored kType>
GPU_DEVICE void attend_rows_exactly(const AttentionF16& a, const Place& place, int row, int last,
                                    int head, exact_attention::Shared& s) {
  const auto b = exact_attention::attend_rows<kType, kThreads>(a, row, last, head, place.choice, s);
  if (lane() == 0)
    for (int r = 0; r < b.kWarpRows; ++r) {
      const int own = row + warp() * b.kWarpRows + r;
      if (own < last)
        a.spans.masses[result_at(a, place.choice.span, own, head)] = {b.max[r], b.mass[r]};
    }
  GPU_UNROLL
  for (int r = 0; r < kAttentionRows; ++r) {
    if (row + r >= last || s.masses[r] == 0) continue;
    float* out = a.spans.sums + result_at(a, place.choice.span, row + r, head) * a.head_dim;
    GPU_UNROLL
    for (int i = 0; i < b.kColumns; ++i) {
      const int column = thread() + i * kThreads;
      if (column < a.head_dim) out[column] = b.out[i][r];
    }
  }
  barrier();
}

// The block's work in f32, a head and 16 rows after another.
GPU_DEVICE void attend_exactly(const AttentionF16& a, const Place& place,
                               exact_attention::Shared& s) {
  const int begin = place.first_row, most = a.first_row + a.spans.rows;
  const int end = begin + place.rows < most ? begin + place.rows : most;
  for (int head = place.kv_head * place.group; head < (place.kv_head + 1) * place.group; ++head)
    for (int row = begin; row < end; row += kAttentionRows) {
      const int last = row + kAttentionRows < end ? row + kAttentionRows : end;
      if (a.type == Stored::f16)
        attend_rows_exactly<Stored::f16>(a, place, row, last, head, s);
      else
        attend_rows_exactly<Stored::bf16>(a, place, row, last, head, s);
    }
}

template <bool kMma, bool kMirrors>
GPU_DEVICE void run(const AttentionF16& a, const Place& place) {
  if constexpr (kMma) {
    GPU_SHARED(Shared, s, );
    if constexpr (kMirrors)
      attend_block<MirrorBlock<kMma ? kChunks / 4 : 0>>(a, place, s);
    else
      attend_block<Block<kMma ? kChunks / 2 : 0>>(a, place, s);
  } else {
    GPU_SHARED(exact_attention::Shared, s, );
    attend_exactly(a, place, s);
  }
}

GPU_KERNEL_OF_BLOCKS(attention_f16, AttentionF16, kThreads, 2) {
  const int rows = attention_f16_rows(a);
  const KeyChoice choice = {block_y() / a.kv_heads, a.spans.cached};
  const Place place = {a.first_row + block_x() * rows, rows,   block_y() % a.kv_heads,
                       a.heads / a.kv_heads,           choice, a.head_dim > 2 * kSlice};
  run<kHasMma, kMmaMirrors>(a, place);
}

}  // namespace potluck::gpu::mma_attention
