// The operands of the operations that have many of them, by name, with the shape of each. Rows are
// those of a pass, over all its segments.
#pragma once

#include <cstdint>
#include <functional>

#include "backends/tensor.h"
#include "topology/base/dtype.h"

namespace potluck {

struct AttentionLayer {
  int heads = 0, kv_heads = 0, head_dim = 0;
  int window = 0;  // 0: full
  int rope_pairs = 0;
  float rope_theta = 0;
  float eps = 1e-6f;

  int64_t q_width() const { return int64_t{heads} * head_dim; }
  int64_t kv_width() const { return int64_t{kv_heads} * head_dim; }
};

struct Qkv {
  Tensor params;  // StepParams
  AttentionLayer layer;
  Tensor q_norm, k_norm;  // [head_dim]
  Tensor q;               // [rows, heads · head_dim], in place; empty: K and V alone
  Tensor k, v;            // [rows, kv_heads · head_dim]; v empty: V comes from the raw K
  KvLayer kv;             // encoded rows are written into their session's ring
  KvLayer fresh;          // [rows, kv_heads · head_dim]; canvas rows are written here
  int rows = 0;
};

struct Attention {
  Tensor params;  // StepParams
  AttentionLayer layer;
  Tensor q;           // [rows, heads · head_dim]
  KvLayer kv, fresh;  // as qkv() has left them
  int rows = 0;
  Tensor out;  // [rows, heads · head_dim], not q
};

struct RouterWeights {
  Tensor scale;             // [H] f32
  Matrix projection;        // [experts, H]
  Tensor per_expert_scale;  // [experts] f32
};

struct Route {
  Tensor x;  // [rows, H], the raw residual
  RouterWeights router;
  int used = 0;  // experts a row
  float eps = 1e-6f;
  int rows = 0;
  Tensor expert;  // [rows, used] i32, in falling order of probability
  Tensor weight;  // [rows, used]
};

struct Experts {
  Tensor x;        // [rows, H]
  Matrix gate_up;  // [experts, 2 · inner, H], gate rows first
  Matrix down;     // [experts, H, inner]
  int used = 0;    // experts a row
  Tensor expert;   // [rows, used] i32
  Tensor weight;   // [rows, used]
  int rows = 0;
  Tensor out;  // [rows, H]
};

// A branch h [rows, n]; with a norm's weight [n], rms(h) ⊙ norm. An empty h adds nothing.
struct Branch {
  Tensor h, norm;
};

struct AddNorm {
  Tensor params;  // StepParams
  Tensor x;       // [rows, n]
  Branch a, b;    // b may be empty
  Tensor weight;  // [n]
  Tensor scale;   // [2] for encoded and for denoised rows; empty: 1
  float eps = 1e-6f;
  int rows = 0;
  int64_t n = 0;
  DType stream = DType::f32;  // that the result is rounded to
  Tensor out;                 // [rows, n], none of the others
};

struct CanvasInput {
  Tensor params;  // StepParams
  Tensor x;       // [rows, n]
  Tensor s;       // [rows, n]; empty: zero
  float eps = 1e-6f;
  int rows = 0;
  int64_t n = 0;
  DType stream = DType::f32;  // that the result is rounded to
  Tensor out;                 // [rows, n]
};

// Soft-capped logits before temperature, [rows, ids] of the ids from first_id on.
using LogitTap = std::function<void(int64_t first_id, int64_t ids, const float* logits)>;

// The head answers one row of a canvas with these.
struct RowCandidate {
  int32_t argmax;
  int32_t sample;
  float entropy;
};

struct VocabAttention {
  Tensor params;  // StepParams
  Tensor h;       // [rows, H], after the final norm
  Matrix table;   // E [V, H]
  float softcap = 0;
  float soft_scale = 1;
  int rows = 0;
  Tensor candidates;  // [rows] RowCandidate
  Tensor soft;        // [rows, H]
  Tensor ids_summed;  // [1] i32: how many rows of E the sum Σ p·E read; empty: not asked for
  LogitTap tap;       // empty: not asked for
};

}  // namespace potluck
