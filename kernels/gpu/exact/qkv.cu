// Each warp of a block takes heads of its row.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/device/segments.h"
#include "kernels/gpu/device/store_value.h"
#include "kernels/gpu/exact/qkv.h"

namespace potluck::gpu {

constexpr int kQkvThreads = 256;

// A head of a row, and where its values go, from value `at` of `to` on.
struct Head {
  const float* x;
  const float* norm;        // [head_dim], or nullptr
  const RopeAngle* angles;  // [rope_pairs], or nullptr: it does not turn
  Stored type;
  void* to;
  int64_t at;
};

// A lane takes pairs. x may be what lies at `to`.
GPU_DEVICE void run_head(const Qkv& a, const Head& head) {
  const int half = a.head_dim / 2, pairs = head.angles ? a.rope_pairs : 0;
  float squares = 0;
  for (int j = lane(); j < half; j += 32) {
    squares = fma(head.x[j], head.x[j], squares);
    squares = fma(head.x[half + j], head.x[half + j], squares);
  }
  const float inverse = 1.0f / sqrt(warp_sum(squares) / a.head_dim + a.eps);
  for (int j = lane(); j < half; j += 32) {
    float low = head.x[j] * inverse, high = head.x[half + j] * inverse;
    if (head.norm) {
      low *= head.norm[j];
      high *= head.norm[half + j];
    }
    const RopeAngle turn = j < pairs ? head.angles[j] : RopeAngle{0, 1};
    store_value(head.type, low * turn.cosine - high * turn.sine, head.to, head.at + j);
    store_value(head.type, high * turn.cosine + low * turn.sine, head.to, head.at + half + j);
  }
}

// Where row t of the pass stores its K and V, in rows.
GPU_DEVICE int64_t stored_row(const Qkv& a, const Segment& segment, int row) {
  if (segment.mode == Mode::denoise) return row;
  const int64_t position = segment.position + (row - segment.row_begin);
  return segment.slot * a.capacity + position % a.capacity;
}

GPU_KERNEL(qkv, Qkv, kQkvThreads) {
  const int row = block_x();
  const Segment* segment = segment_of(*a.params, row);
  if (!segment) return;
  const RopeAngle* angles = a.angles + int64_t{row} * a.rope_pairs;
  const int q_heads = a.q ? a.heads : 0;
  const int64_t q_at = int64_t{row} * a.heads * a.head_dim;
  const int64_t kv_width = int64_t{a.kv_heads} * a.head_dim, kv_at = row * kv_width;
  const int64_t stored_at = stored_row(a, *segment, row) * kv_width;
  const bool canvas = segment->mode == Mode::denoise;
  void* to_k = canvas ? a.fresh.k : a.ring.k;
  void* to_v = canvas ? a.fresh.v : a.ring.v;
  for (int h = warp(); h < q_heads + 2 * a.kv_heads; h += kQkvThreads / 32) {
    const int64_t at = int64_t{h - q_heads} % a.kv_heads * a.head_dim;
    if (h < q_heads) {
      const int64_t of_q = q_at + int64_t{h} * a.head_dim;
      run_head(a, {a.q + of_q, a.q_norm, angles, Stored::f32, a.q, of_q});
    } else if (h < q_heads + a.kv_heads) {
      run_head(a, {a.k + kv_at + at, a.k_norm, angles, a.type, to_k, stored_at + at});
    } else {
      const float* v = a.v ? a.v : a.k;
      run_head(a, {v + kv_at + at, nullptr, nullptr, a.type, to_v, stored_at + at});
    }
  }
}

}  // namespace potluck::gpu
