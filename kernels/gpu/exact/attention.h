// Attention of all segments of a pass (shard/MODEL.md §2.5, §3).
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"
#include "topology/base/segment.h"

namespace potluck::gpu {

inline constexpr int kAttentionRows = 16;       // a block takes
inline constexpr int kAttentionHeadMost = 512;  // values of a head

// Rows of K and of V, [rows, kv_heads, head_dim].
struct KvRows {
  const void* k;
  const void* v;
};

// out = softmax(q·Kᵀ)·V, [rows, heads, head_dim], over the keys that each row sees: those of its
// session's ring and, for canvas rows, the rows of its segment in `fresh`. Scores are un-scaled;
// query head h reads KV head ⌊h / (heads / kv_heads)⌋. Blocks: (⌈rows / kAttentionRows⌉, heads).
struct Attention {
  const StepParams* params;
  const float* q;
  float* out;        // not q
  KvRows ring;       // of all slots, [slots · capacity, …]
  KvRows fresh;      // [rows, …]
  int64_t capacity;  // of a ring: position p lies in its row p mod capacity
  int32_t heads, kv_heads, head_dim;
  int32_t window;     // 0: full
  Stored type;        // of K and V: f32, f16 or bf16
  int32_t first_row;  // of the blocks' rows: a launch may take a part of them
};

// The same in f16 with sums in f32: q, K, V and the weights are rounded to f16. Blocks:
// (⌈rows / attention_f16_rows(…)⌉, kv_heads), of what attention_f16_takes().
struct AttentionF16 : Attention {};

// A block takes so many queries: rows with all query heads of a KV head. A head over 256 takes
// twice the room.
constexpr int attention_f16_queries(const Attention& a) {
  return a.head_dim > 256 ? 32 : 64;
}
constexpr int attention_f16_rows(const Attention& a) {
  return attention_f16_queries(a) / (a.heads / a.kv_heads);
}
constexpr bool attention_f16_takes(const Attention& a) {
  return (a.type == Stored::f16 || a.type == Stored::bf16) && a.head_dim % 8 == 0 &&
         a.head_dim <= kAttentionHeadMost && attention_f16_rows(a) >= 1;
}

}  // namespace potluck::gpu
