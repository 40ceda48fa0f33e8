// Attention of one segment of a pass (shard/MODEL.md §2.5, §3).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"
#include "topology/base/dtype.h"

namespace potluck::cpu {

// Rows of K and V, [capacity, kv_heads, head_dim] in kv_type.
struct KvView {
  const void* k = nullptr;
  const void* v = nullptr;
  int64_t capacity = 0;
};

struct AttentionShape {
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int window = 0;               // 0: full
  DType kv_type = DType::bf16;  // f32, bf16 or f16
};

struct AttentionSegment {
  bool denoise = false;
  int64_t position = 0;  // of row 0, or how many tokens are cached before it
  int64_t rows = 0;
  KvView cache;              // a ring: position p lies in row p mod capacity
  KvView fresh;              // denoise: this canvas' own K and V, capacity = rows
  const float* q = nullptr;  // [rows, heads, head_dim]
  float* out = nullptr;      // the same; not q
};

// Floats a thread, for rows that see keys_max keys at most.
size_t attention_scratch(const AttentionShape& shape, int64_t keys_max);

// Scores are q·k unscaled, softmax in f32; query head h reads KV head ⌊h / (heads / kv_heads)⌋. Row
// t sees, in this order, the cached positions [first(t), last(t)), then all fresh rows (denoise
// only):
//   encode:  last(t) = position + t + 1 (its own K and V are in the cache already),
//            first(t) = max(0, last(t) − window), or 0 on full layers
//   denoise: last = position, first = max(0, position − (window − 1)), or 0 on full layers
// scratch: scratch_stride floats for each thread.
void attention(const AttentionShape& shape, const AttentionSegment& segment, float* scratch,
               int64_t scratch_stride, ThreadPool& pool);

}  // namespace potluck::cpu
