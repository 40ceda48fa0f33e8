// Attention of one segment: for each row and head, scores over the visible keys in order, softmax,
// weighted sum of V in the same order. Two passes, so that a row's bits depend on its keys alone.
#include <algorithm>

#include "kernels/cpu/dequantize.h"
#include "kernels/cpu/exact_math.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/reference.h"
#include "topology/check.h"

namespace potluck::cpu {
namespace {

// The keys a row sees: cached positions [first, last), then `fresh` rows.
struct Visible {
  int64_t first, last, fresh;
  int64_t count() const { return last - first + fresh; }
};

Visible visible_keys(const AttentionSegment& segment, int64_t t, int window) {
  Visible v;
  v.last = segment.denoise ? segment.position : segment.position + t + 1;
  const int64_t reach = segment.denoise ? window - 1 : window;
  v.first = window ? std::max<int64_t>(0, v.last - reach) : 0;
  v.fresh = segment.denoise ? segment.rows : 0;
  return v;
}

// Key or value i of the visible ones, widened into `wide` unless it is f32 already.
const float* row_of(const void* cache, const void* fresh, const AttentionShape& shape,
                    const AttentionSegment& segment, const Visible& v, int64_t i, float* wide) {
  const int64_t cached = v.last - v.first;
  const bool is_cached = i < cached;
  const int64_t row = is_cached ? (v.first + i) % segment.cache.capacity : i - cached;
  const auto* base = static_cast<const std::byte*>(is_cached ? cache : fresh);
  const int64_t width = static_cast<int64_t>(shape.kv_heads) * shape.head_dim;
  const std::byte* at = base + row_bytes(shape.kv_type, width) * static_cast<size_t>(row);
  if (shape.kv_type == DType::f32) return reinterpret_cast<const float*>(at);
  const auto* bits = reinterpret_cast<const uint16_t*>(at);
  for (int64_t j = 0; j < width; ++j) wide[j] = f32_from_bf16(bits[j]);
  return wide;
}

float dot(const float* a, const float* b, int64_t n) {
  Lanes sum = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Lanes x, y;
    load_lanes(a + i, x);
    load_lanes(b + i, y);
    sum += x * y;
  }
  if (i < n) {
    Lanes x, y;
    load_lanes_part(a + i, n - i, x);
    load_lanes_part(b + i, n - i, y);
    sum += x * y;
  }
  return sum_lanes(sum);
}

// scores[h][i] = softmax over i; the sum runs in 16 lanes by i.
void softmax_scores(float* scores, int64_t n) {
  const float most = *std::max_element(scores, scores + n);
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i % kLanes] += scores[i] = exact_exp(scores[i] - most);
  Lanes sums;
  load_lanes(lanes, sums);
  const float inverse = 1.0f / sum_lanes(sums);
  for (int64_t i = 0; i < n; ++i) scores[i] *= inverse;
}

}  // namespace

// All heads' scores of one row, and one widened row of K or V.
size_t attention_scratch(int64_t keys_max) {
  return static_cast<size_t>(keys_max) * kHeadsMax + kKvWidthMax;
}

void attention(const float* q, const AttentionShape& shape, const AttentionSegment& segment,
               float* out, float* scratch, int64_t scratch_stride, ThreadPool& pool) {
  CHECK(shape.heads <= kHeadsMax && shape.kv_heads * shape.head_dim <= kKvWidthMax, shape.heads);
  const int per_kv = shape.heads / shape.kv_heads;
  const int64_t dim = shape.head_dim, width = shape.heads * dim;
  pool.for_each(segment.rows, [&](int64_t t, int thread) {
    float* wide = scratch + thread * scratch_stride;
    float* scores = wide + kKvWidthMax;
    const Visible v = visible_keys(segment, t, shape.window);
    const int64_t n = v.count();
    CHECK(static_cast<int64_t>(kKvWidthMax) + n * shape.heads <= scratch_stride, n, scratch_stride);
    for (int64_t i = 0; i < n; ++i) {
      const float* k = row_of(segment.cache.k, segment.fresh.k, shape, segment, v, i, wide);
      for (int h = 0; h < shape.heads; ++h)
        scores[h * n + i] = dot(q + t * width + h * dim, k + h / per_kv * dim, dim);
    }
    for (int h = 0; h < shape.heads; ++h) softmax_scores(scores + h * n, n);
    float* o = out + t * width;
    std::fill(o, o + width, 0.0f);
    for (int64_t i = 0; i < n; ++i) {
      const float* value = row_of(segment.cache.v, segment.fresh.v, shape, segment, v, i, wide);
      for (int h = 0; h < shape.heads; ++h) {
        const float p = scores[h * n + i];
        const float* from = value + h / per_kv * dim;
        for (int64_t j = 0; j < dim; ++j) o[h * dim + j] += p * from[j];
      }
    }
  });
}

}  // namespace potluck::cpu
