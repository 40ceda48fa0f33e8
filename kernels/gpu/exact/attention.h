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
         a.head_dim <= kAttentionHeadMost && attention_f16_rows(a) >= 1 &&
         a.capacity * a.kv_heads * a.head_dim < int64_t{1} << 31;  // it counts bytes in 32 bits
}

// Attention in f16 takes a row's keys by spans, each in blocks of its own, so that few rows fill a
// large card, and then merges what the spans gave in order. Spans end at fixed positions (in a
// canvas, rows): a row's bits depend on its keys alone.
struct KeyRange {
  int first, last;  // half-open
};

// Span i: 512 keys, or, without a window, a quarter of the greatest power of two up to its first
// key where that is more.
inline constexpr int kKeySpan = 512;
constexpr KeyRange key_span(int i, bool window) {
  const int size = window || i < 8 ? kKeySpan : kKeySpan << (i / 4 - 1);
  const int first = size == kKeySpan ? i * size : (4 + i % 4) * size;
  return {first, first + size};
}
// How many spans the cached keys of a block's rows may lie in, and those of a canvas of `rows`.
constexpr int cached_spans(const Attention& a) {
  if (a.window) return (a.window + attention_f16_rows(a) + kKeySpan - 3) / kKeySpan + 1;
  int spans = 0;
  while (key_span(spans, false).first < a.capacity) ++spans;
  return spans;
}
constexpr int canvas_spans(int64_t rows) {
  return static_cast<int>((rows + kKeySpan - 1) / kKeySpan);
}

// The greatest score of a row and head over the keys of a span, and the sum of weights e^(score −
// max), which is 0 where it sees none of them.
struct SpanMass {
  float max, mass;
};

// The spans' results of some rows of a pass, which follow one another. Spans of rings come before
// those of canvases.
struct SpanResults {
  float* sums;       // Σ weight · v, [spans, rows, heads, head_dim]; not set where the mass is 0
  SpanMass* masses;  // [spans, rows, heads]
  int32_t rows;
  int32_t cached, canvas;  // spans
};

// Attention of rows [first_row, first_row + spans.rows) in f16 with sums in f32: q, K, V and the
// weights are rounded to f16. `out` is not set. Blocks: (⌈rows / attention_f16_rows(…)⌉, kv_heads ·
// spans), of what attention_f16_takes().
struct AttentionF16 : Attention {
  SpanResults spans;
};

// out = the spans' results of the same rows, merged. A block takes a row.
struct AttentionMerge {
  const StepParams* params;
  SpanResults spans;
  float* out;  // [rows of the pass, heads, head_dim]
  int32_t first_row, heads, head_dim;
};

}  // namespace potluck::gpu
