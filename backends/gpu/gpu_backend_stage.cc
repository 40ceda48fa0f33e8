// A layer's operations on a card: each is a kernel or a few, added to the list.
#include <algorithm>

#include "backends/gpu/device_memory.h"
#include "backends/gpu/gpu_backend.h"
#include "kernels/gpu/exact/add_norm.h"
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/experts.h"
#include "kernels/gpu/exact/gelu_mul.h"
#include "kernels/gpu/exact/group_rows.h"
#include "kernels/gpu/exact/qkv.h"
#include "kernels/gpu/exact/rms_norm.h"
#include "kernels/gpu/exact/route.h"
#include "kernels/gpu/fast/experts_f16.h"
#include "kernels/gpu/fast/experts_q8.h"
#include "kernels/gpu/fast/f16_rows.h"
#include "kernels/gpu/fast/q8_rows.h"

namespace potluck {
namespace {

constexpr int64_t kExpertsStep = 64;  // rows, which all experts share

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
  if (fast()) reserve_rounded(limits);
}

// Rows of the widest product and of the experts' inner values, in f16 or int8.
void GpuBackend::reserve_rounded(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  int64_t columns = std::max(spec.hidden, spec.intermediate);
  for (const LayerSpec& layer : spec.layers) columns = std::max(columns, layer.q_width(spec.heads));
  const int64_t rows = limits.rows, slots = rows * spec.experts_used;
  const int64_t inner = spec.expert_intermediate, blocks = blocks_of(spec.hidden, 32);
  const int64_t values = std::max(rows * gpu::f16_stride(columns), slots * gpu::f16_stride(inner));
  reserve(rounded_, values * sizeof(uint16_t));
  reserve(rounded_scale_, std::max(slots, rows * blocks) * sizeof(float));
  reserve(inner_q8_, slots * inner);
  reserve(inner_scale_, slots * blocks_of(inner, 32) * sizeof(float));
  make_panels(spec);
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

void GpuBackend::experts(const Experts& op) {
  const Matrix& down = op.down;
  const Work work{op.rows, 6.0 * op.used * down.rows * down.columns, kExpertsStep};
  in_parts(work, [&](int64_t first, int32_t rows) {
    Experts some = op;
    some.x = behind(op.x, first * down.rows * sizeof(float));
    some.expert = behind(op.expert, first * op.used * sizeof(int32_t));
    some.weight = behind(op.weight, first * op.used * sizeof(float));
    some.out = behind(op.out, first * down.rows * sizeof(float));
    some.rows = rows;
    mix(some);
  });
}

void GpuBackend::mix(const Experts& op) {
  const int32_t count = op.gate_up.count, slots = op.rows * op.used;
  list_->add(gpu::GroupRows{.expert = i32(op.expert),
                            .order = i32(order_),
                            .place = i32(place_),
                            .begin = i32(begin_),
                            .tiles = at<gpu::RowTile>(tiles_),
                            .tile_count = i32(tile_count_),
                            .slots = slots,
                            .experts = count,
                            .tile_rows = gpu::kExpertRows},
             1);
  if (!fast())
    gate_up_and_down(op);
  else if (stored(op.gate_up).panels && stored(op.down).panels)
    gate_up_and_down_q8(op);
  else
    gate_up_and_down_f16(op);
  list_->add(gpu::SumSlots{.down = f32(outputs_),
                           .place = i32(place_),
                           .weight = f32(op.weight),
                           .out = f32(op.out),
                           .n = op.down.rows,
                           .used = op.used},
             op.rows);
}

void GpuBackend::gate_up_and_down(const Experts& op) {
  const gpu::Weights &gate_up = stored(op.gate_up).weights, &down = stored(op.down).weights;
  const int32_t count = op.gate_up.count;
  const int64_t tiles = gpu::expert_tiles(int64_t{op.rows} * op.used, count);
  list_->add(gpu::ExpertGateUp{.x = f32(op.x),
                               .gate_up = gate_up,
                               .order = i32(order_),
                               .begin = i32(begin_),
                               .inner = f32(inner_),
                               .experts = count,
                               .used = op.used},
             blocks_of(down.columns, gpu::kGateUpOutputs), tiles);
  list_->add(gpu::ExpertDown{.inner = f32(inner_),
                             .down = down,
                             .begin = i32(begin_),
                             .out = f32(outputs_),
                             .experts = count},
             blocks_of(down.rows, gpu::kDownOutputs), tiles);
}

void GpuBackend::gate_up_and_down_f16(const Experts& op) {
  const gpu::Weights &gate_up = stored(op.gate_up).weights, &down = stored(op.down).weights;
  const int32_t count = op.gate_up.count;
  const int64_t slots = int64_t{op.rows} * op.used, tiles = gpu::expert_tiles(slots, count);
  round_rows(f32(op.x), op.rows, gate_up.columns);
  list_->add(gpu::ExpertGateUpF16{.x = at<uint16_t>(rounded_),
                                  .scale = f32(rounded_scale_),
                                  .gate_up = gate_up,
                                  .order = i32(order_),
                                  .begin = i32(begin_),
                                  .inner = f32(inner_),
                                  .experts = count,
                                  .used = op.used},
             blocks_of(down.columns, gpu::kGateUpF16Outputs), tiles);
  round_rows(f32(inner_), slots, down.columns);
  list_->add(gpu::ExpertDownF16{.inner = at<uint16_t>(rounded_),
                                .scale = f32(rounded_scale_),
                                .down = down,
                                .begin = i32(begin_),
                                .out = f32(outputs_),
                                .experts = count},
             blocks_of(down.rows, gpu::kDownF16Outputs), tiles);
}

void GpuBackend::gate_up_and_down_q8(const Experts& op) {
  const Stored &gate_up = stored(op.gate_up), &down = stored(op.down);
  const int64_t hidden = gate_up.weights.columns, inner = down.weights.columns;
  const int32_t count = op.gate_up.count;
  const int64_t tiles = gpu::expert_q8_tiles(int64_t{op.rows} * op.used, count);
  list_->add(gpu::Q8Rows{f32(op.x), at<int8_t>(rounded_), f32(rounded_scale_), hidden}, op.rows);
  list_->add(gpu::ExpertGateUpQ8{.x = {at<int8_t>(rounded_), f32(rounded_scale_)},
                                 .panels = gate_up.weights.blocks,
                                 .order = i32(order_),
                                 .begin = i32(begin_),
                                 .inner = at<int8_t>(inner_q8_),
                                 .scale = f32(inner_scale_),
                                 .inner_size = inner,
                                 .hidden = hidden,
                                 .experts = count,
                                 .used = op.used},
             blocks_of(inner, gpu::kGateUpQ8Outputs), tiles);
  list_->add(gpu::ExpertDownQ8{.inner = {at<int8_t>(inner_q8_), f32(inner_scale_)},
                               .panels = down.weights.blocks,
                               .begin = i32(begin_),
                               .out = f32(outputs_),
                               .inner_size = inner,
                               .hidden = hidden,
                               .experts = count},
             blocks_of(hidden, gpu::kDownQ8Outputs), tiles);
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
