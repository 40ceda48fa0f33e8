// A block's three branches, each a few calls of the backend, and the two sums that join them.
#include "shard/block.h"

namespace potluck {
namespace {

// projected = W_o · attention(rms(x)).  [rows, H]
void attention_branch(const BlockContext& c, const LayerWeights& weights,
                      const AttentionLayer& layer, const KvLayer& kv) {
  Backend& b = c.backend;
  Workspace& w = c.w;
  b.rms_norm(w.x, weights.attn_norm, layer.eps, c.rows, c.spec.hidden, w.normed);
  b.matmul(w.normed, weights.q, c.rows, w.q);
  b.matmul(w.normed, weights.k, c.rows, w.k);
  if (!weights.v.empty()) b.matmul(w.normed, weights.v, c.rows, w.v);
  b.qkv({.params = w.params,
         .layer = layer,
         .q_norm = weights.q_norm,
         .k_norm = weights.k_norm,
         .q = w.q,
         .k = w.k,
         .v = weights.v.empty() ? Tensor{} : w.v,
         .kv = kv,
         .fresh = w.fresh,
         .rows = c.rows});
  b.attention({.params = w.params,
               .layer = layer,
               .q = w.q,
               .kv = kv,
               .fresh = w.fresh,
               .rows = c.rows,
               .out = w.attended});
  b.matmul(w.attended, weights.o, c.rows, w.projected);
}

// dense = W_down(gelu(W_gate n) ⊙ W_up n),  n = rms(x1).  [rows, H]
void dense_branch(const BlockContext& c, const LayerWeights& weights) {
  Backend& b = c.backend;
  Workspace& w = c.w;
  const int64_t hidden = c.spec.hidden;
  b.rms_norm(w.x1, weights.ffn_norm, c.spec.rms_eps, c.rows, hidden, w.normed);
  b.matmul(w.normed, weights.gate, c.rows, w.gate);
  b.matmul(w.normed, weights.up, c.rows, w.up);
  b.gelu_mul(w.gate, w.up, c.rows, c.spec.intermediate, w.gate);
  b.matmul(w.gate, weights.down, c.rows, w.dense);
}

// moe = Σ_k weight_k · expert_k(rms(x1)), routed by the raw x1.  [rows, H]
void expert_branch(const BlockContext& c, const LayerWeights& weights) {
  Backend& b = c.backend;
  Workspace& w = c.w;
  const float eps = c.spec.rms_eps;
  const int used = c.spec.experts_used;
  b.route({.x = w.x1,
           .router = weights.router,
           .used = used,
           .eps = eps,
           .rows = c.rows,
           .expert = w.expert,
           .weight = w.weight});
  b.rms_norm(w.x1, weights.pre_ffw_norm_2, eps, c.rows, c.spec.hidden, w.normed);
  b.experts({.x = w.normed,
             .gate_up = weights.experts_gate_up,
             .down = weights.experts_down,
             .used = used,
             .expert = w.expert,
             .weight = w.weight,
             .rows = c.rows,
             .out = w.moe});
}

}  // namespace

AttentionLayer attention_layer(const ModelSpec& spec, int index) {
  const LayerSpec& layer = spec.layers[index];
  AttentionLayer a;
  a.heads = spec.heads;
  a.kv_heads = layer.kv_heads;
  a.head_dim = layer.head_dim;
  a.window = layer.full ? 0 : spec.window;
  a.rope_pairs = layer.full ? spec.rope_pairs_full : layer.head_dim / 2;
  a.rope_theta = layer.full ? spec.rope_theta_full : spec.rope_theta_sliding;
  a.eps = spec.rms_eps;
  return a;
}

void forward_block(const BlockContext& c, const LayerWeights& weights, const AttentionLayer& layer,
                   const KvLayer& kv) {
  Backend& b = c.backend;
  Workspace& w = c.w;
  const int64_t hidden = c.spec.hidden;
  attention_branch(c, weights, layer, kv);
  b.add_norm({.params = w.params,
              .x = w.x,
              .a = {.h = w.projected},
              .weight = weights.post_attention_norm,
              .eps = layer.eps,
              .rows = c.rows,
              .n = hidden,
              .out = w.x1});
  dense_branch(c, weights);
  expert_branch(c, weights);
  b.add_norm({.params = w.params,
              .x = w.x1,
              .a = {.h = w.dense, .norm = weights.post_ffw_norm_1},
              .b = {.h = w.moe, .norm = weights.post_ffw_norm_2},
              .weight = weights.post_ffw_norm,
              .scale = weights.scale,
              .eps = layer.eps,
              .rows = c.rows,
              .n = hidden,
              .stream = c.stream,
              .out = w.x});
}

void encode_keys_values(const BlockContext& c, const LayerWeights& weights,
                        const AttentionLayer& layer, const KvLayer& kv) {
  Backend& b = c.backend;
  Workspace& w = c.w;
  b.rms_norm(w.x, weights.attn_norm, layer.eps, c.rows, c.spec.hidden, w.normed);
  b.matmul(w.normed, weights.k, c.rows, w.k);
  if (!weights.v.empty()) b.matmul(w.normed, weights.v, c.rows, w.v);
  b.qkv({.params = w.params,
         .layer = layer,
         .q_norm = weights.q_norm,
         .k_norm = weights.k_norm,
         .k = w.k,
         .v = weights.v.empty() ? Tensor{} : w.v,
         .kv = kv,
         .fresh = w.fresh,
         .rows = c.rows});
}

}  // namespace potluck
