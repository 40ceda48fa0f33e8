// Attention of one segment: scores over the visible keys in order, softmax, then the weighted sum
// of V in the same order. A task takes one KV head and a block of rows whose query heads share it,
// so that each tile of K and V is dequantized once for all of them. Scores are kept whole (two
// passes), so that a row's bits depend on its keys alone.
#include "kernels/cpu/reference/attention.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/reference/attention_keys.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/reduce.h"
#include "kernels/cpu/reference/row_products.h"
#include "topology/base/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kQueries = 16;  // query vectors that share a tile
constexpr int64_t kKeyTile = 32;  // keys: 32 · 512 · 4 B = 64 KB

int64_t heads_per_kv(const AttentionShape& shape) {
  return shape.heads / shape.kv_heads;
}

int64_t rows_per_block(const AttentionShape& shape) {
  return std::max<int64_t>(1, kQueries / heads_per_kv(shape));
}

// One task: rows [row_begin, row_end) of the segment and one KV head, over the union of their keys.
struct Block {
  const AttentionShape& shape;
  const AttentionSegment& segment;
  int64_t row_begin, row_end, kv_head;
  Visible keys;
  float* queries;  // [rows · heads a KV head, head_dim], then their outputs
  float* tile;     // [kKeyTile, head_dim]
  float* scores;   // [rows · heads a KV head, keys.count()]

  int64_t per_kv() const { return heads_per_kv(shape); }
  int64_t vectors() const { return (row_end - row_begin) * per_kv(); }
  // The place where row t's query heads begin in q or out.
  int64_t offset(int64_t t) const {
    return (t * shape.heads + kv_head * per_kv()) * shape.head_dim;
  }
};

// tile[j, :] = key or value first + j of the union, dequantized.
void dequantize_tile(const Block& b, const void* cache, const void* fresh, int64_t first,
                     int64_t count) {
  const int64_t cached = b.keys.last - b.keys.first;
  const size_t head_bytes = row_bytes(b.shape.kv_type, b.shape.head_dim);
  for (int64_t j = 0; j < count; ++j) {
    const int64_t i = first + j;
    const bool is_cached = i < cached;
    const int64_t row = is_cached ? (b.keys.first + i) % b.segment.cache.capacity : i - cached;
    const auto* base = static_cast<const std::byte*>(is_cached ? cache : fresh);
    const auto slot = row * b.shape.kv_heads + b.kv_head;
    dequantize_row(b.shape.kv_type, base + slot * head_bytes, b.tile + j * b.shape.head_dim,
                   b.shape.head_dim);
  }
}

template <typename Body>
void each_tile(const Block& b, const void* cache, const void* fresh, const Body& body) {
  const int64_t n = b.keys.count();
  for (int64_t first = 0; first < n; first += kKeyTile) {
    const int64_t count = std::min(kKeyTile, n - first);
    dequantize_tile(b, cache, fresh, first, count);
    body(first, count);
  }
}

// scores[0, n) = softmax; the sum runs in 16 lanes by i.
void softmax_scores(float* scores, int64_t n) {
  const float most = *std::max_element(scores, scores + n);
  exact_exps(scores, n, most);
  const float inverse = 1.0f / sum_of(scores, n);
  for (int64_t i = 0; i < n; ++i) scores[i] *= inverse;
}

// Takes the softmax of each row over the keys that it sees; keys that only its neighbours see weigh
// nothing.
void softmax_block(const Block& b) {
  const int64_t n = b.keys.count();
  for (int64_t t = b.row_begin; t < b.row_end; ++t) {
    const Visible own = visible_keys(b.segment, t, b.shape.window);
    const int64_t skip = own.first - b.keys.first;
    for (int64_t h = 0; h < b.per_kv(); ++h) {
      float* scores = b.scores + ((t - b.row_begin) * b.per_kv() + h) * n;
      std::fill(scores, scores + skip, 0.0f);
      softmax_scores(scores + skip, own.count());
      std::fill(scores + skip + own.count(), scores + n, 0.0f);
    }
  }
}

void run_block(const Block& b) {
  const int64_t dim = b.shape.head_dim, n = b.keys.count(), row = b.per_kv() * dim;
  const size_t row_size = row * sizeof(float);
  for (int64_t t = b.row_begin; t < b.row_end; ++t)
    std::memcpy(b.queries + (t - b.row_begin) * row, b.segment.q + b.offset(t), row_size);
  each_tile(b, b.segment.cache.k, b.segment.fresh.k, [&](int64_t first, int64_t count) {
    dot_products({b.queries, dim}, b.vectors(), {b.tile, dim}, count, dim, {b.scores + first, n});
  });
  softmax_block(b);
  std::fill(b.queries, b.queries + b.vectors() * dim, 0.0f);
  each_tile(b, b.segment.cache.v, b.segment.fresh.v, [&](int64_t first, int64_t count) {
    add_weighted_sums({b.scores + first, n}, b.vectors(), {b.tile, dim}, count, dim,
                      {b.queries, dim});
  });
  for (int64_t t = b.row_begin; t < b.row_end; ++t)
    std::memcpy(b.segment.out + b.offset(t), b.queries + (t - b.row_begin) * row, row_size);
}

}  // namespace

// A causal block sees up to a block more keys than its rows do.
size_t attention_scratch(const AttentionShape& shape, int64_t keys_max) {
  const int64_t rows = rows_per_block(shape), vectors = rows * heads_per_kv(shape);
  return (vectors + kKeyTile) * shape.head_dim + vectors * (keys_max + rows);
}

void attention(const AttentionShape& shape, const AttentionSegment& segment, float* scratch,
               int64_t scratch_stride, ThreadPool& pool) {
  const int64_t rows = rows_per_block(shape), blocks = (segment.rows + rows - 1) / rows;
  pool.for_each(blocks * shape.kv_heads, [&](int64_t task, int thread) {
    const int64_t begin = task / shape.kv_heads * rows, end = std::min(segment.rows, begin + rows);
    const Visible first = visible_keys(segment, begin, shape.window);
    const Visible last = visible_keys(segment, end - 1, shape.window);
    Block b{
        shape,   segment, begin,  end, task % shape.kv_heads, {first.first, last.last, last.fresh},
        nullptr, nullptr, nullptr};
    b.queries = scratch + thread * scratch_stride;
    b.tile = b.queries + b.vectors() * shape.head_dim;
    b.scores = b.tile + kKeyTile * shape.head_dim;
    CHECK(b.scores + b.vectors() * b.keys.count() <= b.queries + scratch_stride, b.keys.count(),
          scratch_stride);
    run_block(b);
  });
}

}  // namespace potluck::cpu
