// A layer's operations on a card: each is a kernel or a few, added to the list.
#include <algorithm>

#include "backends/gpu/device_memory.h"
#include "backends/gpu/gpu_backend.h"
#include "kernels/gpu/exact/add_norm.h"
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/gelu_mul.h"
#include "kernels/gpu/exact/qkv.h"
#include "kernels/gpu/exact/rms_norm.h"
#include "kernels/gpu/exact/route.h"

namespace potluck {
namespace {

gpu::Branch branch(const Branch& b) {
  return {f32(b.h), f32(b.norm)};
}

}  // namespace

void GpuBackend::rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) {
  list_->add(gpu::RmsNorm{f32(x), f32(weight), f32(out), n, eps}, rows);
}

void GpuBackend::qkv(const Qkv& op) {
  const AttentionLayer& layer = op.layer;
  list_->add(gpu::Qkv{.params = params(op.params),
                      .q = f32(op.q),
                      .k = f32(op.k),
                      .v = f32(op.v),
                      .q_norm = f32(op.q_norm),
                      .k_norm = f32(op.k_norm),
                      .ring = {op.kv.k.data, op.kv.v.data},
                      .fresh = {op.fresh.k.data, op.fresh.v.data},
                      .capacity = op.kv.capacity,
                      .heads = layer.heads,
                      .kv_heads = layer.kv_heads,
                      .head_dim = layer.head_dim,
                      .rope_pairs = layer.rope_pairs,
                      .rope_theta = layer.rope_theta,
                      .eps = layer.eps,
                      .type = float_type(op.kv.type)},
             op.rows);
}

void GpuBackend::attention(const Attention& op) {
  const AttentionLayer& layer = op.layer;
  gpu::Attention a{.params = params(op.params),
                   .q = f32(op.q),
                   .out = f32(op.out),
                   .ring = {op.kv.k.data, op.kv.v.data},
                   .fresh = {op.fresh.k.data, op.fresh.v.data},
                   .capacity = op.kv.capacity,
                   .heads = layer.heads,
                   .kv_heads = layer.kv_heads,
                   .head_dim = layer.head_dim,
                   .window = layer.window,
                   .type = float_type(op.kv.type)};
  const bool in_f16 = fast() && gpu::attention_f16_takes(a);
  const int64_t block = in_f16 ? gpu::attention_f16_rows(a) : gpu::kAttentionRows;
  const int64_t keys = layer.window ? std::min<int64_t>(keys_, layer.window + op.rows) : keys_;
  in_parts({op.rows, 4.0 * keys * layer.q_width(), block}, [&](int64_t first, int64_t rows) {
    a.first_row = first;
    if (in_f16)
      list_->add(gpu::AttentionF16{a}, blocks_of(rows, block), layer.kv_heads);
    else
      list_->add(a, blocks_of(rows, block), layer.heads);
  });
}

void GpuBackend::gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) {
  const int64_t count = rows * n;
  list_->add(gpu::GeluMul{f32(gate), f32(up), f32(out), count},
             blocks_of(count, gpu::kGeluMulValues));
}

void GpuBackend::route(const Route& op) {
  list_->add(gpu::Route{.x = f32(op.x),
                        .scale = f32(op.router.scale),
                        .projection = stored(op.router.projection).weights,
                        .per_expert_scale = f32(op.router.per_expert_scale),
                        .expert = i32(op.expert),
                        .weight = f32(op.weight),
                        .rows = op.rows,
                        .used = op.used,
                        .eps = op.eps},
             blocks_of(op.rows, gpu::kRouteRows));
}

void GpuBackend::add_norm(const AddNorm& op) {
  list_->add(gpu::AddNorm{.params = params(op.params),
                          .x = f32(op.x),
                          .first = branch(op.a),
                          .second = branch(op.b),
                          .weight = f32(op.weight),
                          .scale = f32(op.scale),
                          .out = f32(op.out),
                          .n = op.n,
                          .eps = op.eps,
                          .stream = float_type(op.stream)},
             op.rows);
}

}  // namespace potluck
