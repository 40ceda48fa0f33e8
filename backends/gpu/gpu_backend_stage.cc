// A layer's operations on a card: each is a kernel or a few, added to the list.
#include <algorithm>

#include "backends/gpu/device_memory.h"
#include "backends/gpu/gpu_backend.h"
#include "kernels/gpu/add_norm.h"
#include "kernels/gpu/attention.h"
#include "kernels/gpu/experts.h"
#include "kernels/gpu/gelu_mul.h"
#include "kernels/gpu/group_rows.h"
#include "kernels/gpu/qkv.h"
#include "kernels/gpu/rms_norm.h"
#include "kernels/gpu/route.h"

namespace potluck {
namespace {

gpu::Branch branch(const Branch& b) {
  return {f32(b.h), f32(b.norm)};
}

}  // namespace

void GpuBackend::reserve_stage(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  const int64_t slots = int64_t{limits.rows} * spec.experts_used;
  reserve(order_, slots * sizeof(int32_t));
  reserve(place_, slots * sizeof(int32_t));
  reserve(begin_, (spec.experts + 1) * sizeof(int32_t));
  reserve(tiles_, gpu::expert_tiles(slots, spec.experts) * sizeof(gpu::RowTile));
  reserve(tile_count_, sizeof(int32_t));
  reserve(inner_, slots * spec.expert_intermediate * sizeof(float));
  reserve(outputs_, slots * spec.hidden * sizeof(float));
}

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
  list_->add(gpu::Attention{.params = params(op.params),
                            .q = f32(op.q),
                            .out = f32(op.out),
                            .ring = {op.kv.k.data, op.kv.v.data},
                            .fresh = {op.fresh.k.data, op.fresh.v.data},
                            .capacity = op.kv.capacity,
                            .heads = layer.heads,
                            .kv_heads = layer.kv_heads,
                            .head_dim = layer.head_dim,
                            .window = layer.window,
                            .type = float_type(op.kv.type)},
             blocks_of(op.rows, gpu::kAttentionRows), layer.heads);
}

void GpuBackend::gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) {
  const int64_t count = rows * n;
  list_->add(gpu::GeluMul{f32(gate), f32(up), f32(out), count},
             blocks_of(count, gpu::kGeluMulValues));
}

void GpuBackend::route(const Route& op) {
  list_->add(gpu::Route{.x = f32(op.x),
                        .scale = f32(op.router.scale),
                        .projection = stored(op.router.projection),
                        .per_expert_scale = f32(op.router.per_expert_scale),
                        .expert = i32(op.expert),
                        .weight = f32(op.weight),
                        .rows = op.rows,
                        .used = op.used,
                        .eps = op.eps},
             blocks_of(op.rows, gpu::kRouteRows));
}

void GpuBackend::experts(const Experts& op) {
  const gpu::Weights &gate_up = stored(op.gate_up), &down = stored(op.down);
  const auto count = static_cast<int32_t>(op.gate_up.count);
  const int64_t slots = int64_t{op.rows} * op.used;
  const int64_t tiles = gpu::expert_tiles(slots, count);
  list_->add(gpu::GroupRows{.expert = i32(op.expert),
                            .order = i32(order_),
                            .place = i32(place_),
                            .begin = i32(begin_),
                            .tiles = at<gpu::RowTile>(tiles_),
                            .tile_count = i32(tile_count_),
                            .slots = static_cast<int32_t>(slots),
                            .experts = count,
                            .tile_rows = gpu::kExpertRows},
             1);
  list_->add(gpu::ExpertGateUp{.x = f32(op.x),
                               .gate_up = gate_up,
                               .order = i32(order_),
                               .begin = i32(begin_),
                               .inner = f32(inner_),
                               .experts = count,
                               .used = op.used},
             blocks_of(gate_up.rows / 2, gpu::kGateUpOutputs), tiles);
  list_->add(gpu::ExpertDown{.inner = f32(inner_),
                             .down = down,
                             .begin = i32(begin_),
                             .out = f32(outputs_),
                             .experts = count},
             blocks_of(down.rows, gpu::kDownOutputs), tiles);
  list_->add(gpu::SumSlots{.down = f32(outputs_),
                           .place = i32(place_),
                           .weight = f32(op.weight),
                           .out = f32(op.out),
                           .n = down.rows,
                           .used = op.used},
             op.rows);
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
