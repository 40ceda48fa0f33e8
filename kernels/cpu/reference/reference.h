// The operations of DiffusionGemma as plain loops in f32: these define correct. Every sum runs in
// an order that depends on shapes alone, never on threads, chunks or what else is in the batch, so
// a row's bits are the same wherever and with whomever it is computed. Symbols: model_spec.h.
//
// All matrices are row-major; `rows` counts tokens. No function allocates: scratch is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"
#include "topology/base/dtype.h"

namespace potluck::cpu {

// A stored weight matrix [rows, columns], in `type` blocks along each row.
struct WeightView {
  DType type = DType::f32;
  const void* blocks = nullptr;
  int64_t rows = 0;                                      // outputs
  int64_t columns = 0;                                   // inputs
  WeightView slice(int64_t first, int64_t count) const;  // rows [first, first + count)
};

// out = x · scale ⊙ weight, weight may be nullptr; out = a + b.  [n]; out may be x, a or b.
void scale_row(const float* x, float scale, const float* weight, int64_t n, float* out);
void add_row(const float* a, const float* b, int64_t n, float* out);

// out[t,:] = x[t,:] · (mean(x²) + eps)^−½ ⊙ weight.  weight: [n] or nullptr for the weightless
// norm. x and out may be the same. (model.md §2.1)
void rms_norm_row(const float* x, const float* weight, float eps, int64_t n, float* out);
void rms_norm(const float* x, const float* weight, float eps, int64_t rows, int64_t n, float* out,
              ThreadPool& pool);

// out[t, o] = Σ_i x[t, i] · w[o, i].  x: [rows, columns], out: [rows, w.rows] with row strides
// given in elements. scratch: matmul_scratch(w) floats a thread.
size_t matmul_scratch(int64_t columns);
void matmul(const float* x, int64_t x_stride, int64_t rows, const WeightView& w, float* out,
            int64_t out_stride, float* scratch, ThreadPool& pool);

// out[t,:] = gelu_tanh(gate[t,:]) ⊙ up[t,:]; n columns; strides in elements; out may alias gate.
void gelu_mul_row(const float* gate, const float* up, int64_t n, float* out);
void gelu_mul(const float* gate, const float* up, int64_t stride, int64_t rows, int64_t n,
              float* out, int64_t out_stride, ThreadPool& pool);

// Rotary embedding, rotate-half pairs (j, j + head_dim/2), j < pairs, by position · f_j, f_j =
// theta^(−2j/head_dim): a row's sines and cosines, [pairs] each, and its x [heads, head_dim]
// rotated in place. (model.md §2.6)
void rope_frequencies(int head_dim, int pairs, float theta, float* frequency);
void rope_angles(int32_t position, const float* frequency, int pairs, float* sine, float* cosine);
void rope_row(float* x, const float* sine, const float* cosine, int heads, int head_dim, int pairs);

// p = softmax over all experts of (W_r · (rms(x)·scale·H^−½)); the top k of p (ties: lowest index),
// each divided by their sum and multiplied by per_expert_scale.  x: [rows, H] the raw residual;
// scale: [H]; router: [experts, H]. out: expert[rows, k] in falling order of p, weight[rows, k].
// (model.md §2.4)
struct RouterView {
  const float* scale = nullptr;             // [H]
  WeightView projection;                    // [experts, H]
  const float* per_expert_scale = nullptr;  // [experts]
  float eps = 1e-6f;
  int used = 0;  // k
};
size_t route_scratch(int64_t rows, int64_t hidden, int64_t experts,
                     int threads);  // floats
void route(const float* x, int64_t rows, int64_t hidden, const RouterView& router, int32_t* expert,
           float* weight, float* scratch, ThreadPool& pool);

// out[t,:] = Σ_k weight[t,k] · down[e](gelu(gate) ⊙ up),  [gate; up] = gate_up[e] · x[t,:],  e =
// expert[t,k]. gate_up: [experts · 2·inner, H] (gate rows first in each expert), down: [experts ·
// H, inner]. Rows are grouped by expert; each token's sum runs in the order of its own k. (model.md
// §2.4)
struct ExpertsView {
  WeightView gate_up;
  WeightView down;
  int experts = 0;
  int used = 0;
  int64_t inner = 0;
  int64_t hidden = 0;
};
size_t experts_scratch(const ExpertsView& experts, int64_t rows_max, int threads);  // bytes
void experts(const float* x, int64_t rows, const ExpertsView& view, const int32_t* expert,
             const float* weight, float* out, void* scratch, ThreadPool& pool);

// Attention of one segment. Scores are q·k unscaled, softmax in f32; query head h reads KV head
// ⌊h / (heads / kv_heads)⌋. Keys of query row t are, in this order: cached positions
// [first(t), last(t)) of the session, then `fresh` rows [0, fresh_rows) (denoise only).
//   encode:  last(t) = position + t + 1 (its own K/V are in the cache already),
//            first(t) = max(0, last(t) − window), or 0 on full layers
//   denoise: last = position, first = max(0, position − (window − 1)), or 0 on full layers
// The cache is a ring: position p lives in row p mod capacity; K, V: [capacity, kv_heads, head_dim]
// in kv_type (f32, bf16 or f16). fresh K, V: [fresh_rows, kv_heads, head_dim], same type. (model.md
// §2.5, §3)
struct KvView {
  const void* k = nullptr;
  const void* v = nullptr;
  int64_t capacity = 0;
};
struct AttentionShape {
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int window = 0;  // 0: full
  DType kv_type = DType::bf16;
};
struct AttentionSegment {
  bool denoise = false;
  int64_t position = 0;  // of row 0 = tokens cached before it
  int64_t rows = 0;
  KvView cache;
  KvView fresh;  // denoise: this canvas' own K/V, capacity = rows
};
// Floats a thread, for rows that see keys_max keys at most.
size_t attention_scratch(const AttentionShape& shape, int64_t keys_max);
// q, out: [rows, heads, head_dim]; out may not alias q.
// scratch: scratch_stride floats for each thread.
void attention(const float* q, const AttentionShape& shape, const AttentionSegment& segment,
               float* out, float* scratch, int64_t scratch_stride, ThreadPool& pool);

// h, [rows, n], or with a norm's weight [n] rms(h[t,:]) ⊙ norm; h may be nullptr: nothing.
struct Branch {
  const float* h = nullptr;
  const float* norm = nullptr;
};

// out[t,:] = (x1[t,:] + rms(h[t,:]) ⊙ weight) · scale, rounded to `stream`; h[t,:] is the sum of
// the branches, of which the second needs a first. out is none of the others.
struct AddNorm {
  const float* x1;
  Branch first, second;
  const float* weight;
  float eps, scale;
  DType stream;
};
void add_norm(const AddNorm& a, int64_t rows, int64_t n, float* out, ThreadPool& pool);

}  // namespace potluck::cpu
