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
#include "topology/base/check.h"

namespace potluck {
namespace {

// Rows whose attention runs at a time: enough for the largest card.
constexpr int kSpanRows = 256;

gpu::Branch branch(const Branch& b) {
  return {f32(b.h), f32(b.norm)};
}

}  // namespace

void GpuBackend::reserve_angles(const Limits& limits) {
  int pairs = 0;
  for (const LayerSpec& layer : limits.spec->layers) pairs = std::max(pairs, layer.head_dim / 2);
  for (Angles& angles : angles_)
    reserve(angles.table, size_t{1} * limits.rows * pairs * sizeof(gpu::RopeAngle));
  for (Angles& angles : angles_) angles.rows = 0;
}

// The results of the spans of the layer that has most of them.
void GpuBackend::reserve_spans(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  size_t bytes = 0;
  for (const LayerSpec& layer : spec.layers) {
    const gpu::Attention a{.capacity = limits.keys,
                           .heads = spec.heads,
                           .kv_heads = layer.kv_heads,
                           .head_dim = layer.head_dim,
                           .window = layer.full ? 0 : spec.window};
    const size_t spans = gpu::cached_spans(a) + gpu::canvas_spans(limits.rows);
    bytes = std::max(bytes, spans * spec.heads * (layer.head_dim + 2) * sizeof(float));
  }
  reserve(spans_, bytes * std::min(kSpanRows, limits.rows));
}

void GpuBackend::rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) {
  list_->add(gpu::RmsNorm{f32(x), f32(weight), f32(out), n, eps}, rows);
}

void GpuBackend::forget_angles(Tensor of) {
  for (Angles& angles : angles_)
    if (angles.params == params(of)) angles.rows = 0;
}

// The first layer of a pass that turns so makes them.
const gpu::RopeAngle* GpuBackend::angles_of(const Qkv& op) {
  const AttentionLayer& layer = op.layer;
  Angles wanted{params(op.params), op.rows, layer.head_dim, layer.rope_pairs, layer.rope_theta, {}};
  if (!angles_[0].turn_like(wanted)) std::swap(angles_[0], angles_[1]);
  const Angles& known = angles_[0];
  const Tensor table = wanted.table = known.table;
  if (!known.turn_like(wanted) || known.params != wanted.params || known.rows != op.rows) {
    CHECK(size_t{1} * op.rows * wanted.pairs * sizeof(gpu::RopeAngle) <= table.bytes, op.rows);
    list_->add(gpu::RopeAngles{wanted.params, at<gpu::RopeAngle>(table), wanted.head_dim,
                               wanted.pairs, wanted.theta},
               op.rows);
    angles_[0] = wanted;
  }
  return at<gpu::RopeAngle>(table);
}

void GpuBackend::qkv(const Qkv& op) {
  const AttentionLayer& layer = op.layer;
  list_->add(gpu::Qkv{.params = params(op.params),
                      .q = f32(op.q),
                      .k = f32(op.k),
                      .v = f32(op.v),
                      .q_norm = f32(op.q_norm),
                      .k_norm = f32(op.k_norm),
                      .angles = angles_of(op),
                      .ring = {op.kv.k.data, op.kv.v.data},
                      .fresh = {op.fresh.k.data, op.fresh.v.data},
                      .capacity = op.kv.capacity,
                      .heads = layer.heads,
                      .kv_heads = layer.kv_heads,
                      .head_dim = layer.head_dim,
                      .rope_pairs = layer.rope_pairs,
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
      attend_by_spans(a, rows, gpu::canvas_spans(op.rows));
    else
      list_->add(a, blocks_of(rows, block), layer.heads);
  });
}

// Attends with rows from a.first_row on, as many at a time as there is room for their spans'
// results.
void GpuBackend::attend_by_spans(gpu::Attention a, int64_t rows, int canvas_spans) {
  const int cached = gpu::cached_spans(a), count = cached + canvas_spans;
  for (int left = rows; left > 0; left -= kSpanRows, a.first_row += kSpanRows) {
    const int some = std::min(kSpanRows, left);
    const int64_t heads = int64_t{count} * some * a.heads;
    const size_t sums = heads * a.head_dim * sizeof(float);
    CHECK(sums + heads * sizeof(gpu::SpanMass) <= spans_.bytes, heads, spans_.bytes);
    const gpu::SpanResults spans{f32(spans_), at<gpu::SpanMass>(spans_, sums), some, cached,
                                 canvas_spans};
    list_->add(gpu::AttentionF16{a, spans}, blocks_of(some, gpu::attention_f16_rows(a)),
               int64_t{a.kv_heads} * count);
    list_->add(gpu::AttentionMerge{a.params, spans, a.out, a.first_row, a.heads, a.head_dim}, some);
  }
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
