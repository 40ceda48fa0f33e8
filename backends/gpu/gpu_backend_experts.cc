// The experts of a layer: their rows are grouped, and each of the two matrices is multiplied in
// int8 where it lies in panels, in f16 where it does not, and in f32 by exact products.
#include <algorithm>

#include "backends/gpu/device_memory.h"
#include "backends/gpu/gpu_backend.h"
#include "backends/gpu/panel_types.h"
#include "kernels/gpu/exact/experts.h"
#include "kernels/gpu/exact/group_rows.h"
#include "kernels/gpu/fast/experts_f16.h"
#include "kernels/gpu/fast/experts_int8.h"
#include "kernels/gpu/fast/f16_rows.h"
#include "kernels/gpu/fast/q8_rows.h"

namespace potluck {

constexpr int64_t kExpertsStep = 64;  // rows, which all experts share
static_assert(gpu::kExpertF16Rows == gpu::kExpertRows);
static_assert(gpu::kExpertInt8Rows < gpu::kExpertRows);

void GpuBackend::reserve_stage(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  const int64_t slots = int64_t{limits.rows} * spec.experts_used;
  const int64_t tiles = gpu::row_tiles_most(slots, spec.experts, gpu::kExpertInt8Rows);
  reserve(order_, slots * sizeof(int32_t));
  reserve(place_, slots * sizeof(int32_t));
  reserve(begin_, (spec.experts + 1) * sizeof(int32_t));
  reserve(tiles_, tiles * sizeof(gpu::RowTile));
  reserve(tile_count_, sizeof(int32_t));
  reserve(inner_, slots * spec.expert_intermediate * sizeof(float));
  reserve(outputs_, slots * spec.hidden * sizeof(float));
  reserve_angles(limits);
  if (!fast()) return;
  reserve_rounded(limits);
  reserve_spans(limits);
}

// Rows of the widest product and of the experts' inner values, in f16 or int8.
void GpuBackend::reserve_rounded(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  int64_t columns = std::max(spec.hidden, spec.intermediate);
  for (const LayerSpec& layer : spec.layers) columns = std::max(columns, layer.q_width(spec.heads));
  const int64_t rows = limits.rows, slots = rows * spec.experts_used;
  const int64_t inner = spec.expert_intermediate;
  const int64_t values = std::max(rows * gpu::f16_stride(columns), slots * gpu::f16_stride(inner));
  reserve(rounded_, values * sizeof(uint16_t));
  reserve(rounded_scale_, std::max(slots * sizeof(float),
                                   rows * blocks_of(spec.hidden, 32) * sizeof(gpu::Q8Scale)));
  reserve(inner_q8_, slots * inner);
  reserve(inner_scale_, slots * blocks_of(inner, 32) * sizeof(gpu::Q8Scale));
}

// Tiles of both products have the rows that the smaller takes.
int32_t GpuBackend::expert_tile_rows(const Experts& op) const {
  const bool any_in_int8 = stored(op.gate_up).has_panels || stored(op.down).has_panels;
  return any_in_int8 ? gpu::kExpertInt8Rows : gpu::kExpertRows;
}

int64_t GpuBackend::expert_tiles(const Experts& op) const {
  return gpu::row_tiles_most(int64_t{op.rows} * op.used, op.gate_up.count, expert_tile_rows(op));
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
  list_->add(gpu::GroupRows{.expert = i32(op.expert),
                            .order = i32(order_),
                            .place = i32(place_),
                            .begin = i32(begin_),
                            .tiles = at<gpu::RowTile>(tiles_),
                            .tile_count = i32(tile_count_),
                            .slots = op.rows * op.used,
                            .experts = static_cast<int32_t>(op.gate_up.count),
                            .tile_rows = expert_tile_rows(op)},
             1);
  if (!fast()) {
    gate_up_and_down(op);
  } else {
    stored(op.gate_up).has_panels ? gate_up_in_int8(op) : gate_up_in_f16(op);
    stored(op.down).has_panels ? down_in_int8(op) : down_in_f16(op);
  }
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
  list_->add(gpu::ExpertGateUp{.x = f32(op.x),
                               .gate_up = gate_up,
                               .tiles = row_tiles(),
                               .order = i32(order_),
                               .inner = f32(inner_),
                               .used = op.used},
             expert_tiles(op) * blocks_of(down.columns, gpu::kGateUpOutputs));
  list_->add(
      gpu::ExpertDown{
          .inner = f32(inner_), .down = down, .tiles = row_tiles(), .out = f32(outputs_)},
      expert_tiles(op) * blocks_of(down.rows, gpu::kDownOutputs));
}

// Leaves what down takes: rows in f32, and in int8 where that is its kind.
void GpuBackend::gate_up_in_f16(const Experts& op) {
  const gpu::Weights& gate_up = stored(op.gate_up).weights;
  const int64_t inner = gate_up.rows / 2;
  round_rows(f32(op.x), op.rows, gate_up.columns);
  list_->add(gpu::ExpertGateUpF16{.x = at<uint16_t>(rounded_),
                                  .scale = f32(rounded_scale_),
                                  .gate_up = gate_up,
                                  .tiles = row_tiles(),
                                  .order = i32(order_),
                                  .inner = f32(inner_),
                                  .used = op.used},
             expert_tiles(op) * blocks_of(inner, gpu::kGateUpF16Outputs));
  if (stored(op.down).has_panels)
    list_->add(
        gpu::Q8Rows{f32(inner_), at<int8_t>(inner_q8_), at<gpu::Q8Scale>(inner_scale_), inner},
        op.rows * op.used);
}

// Leaves what down takes: rows in int8 or in f32.
void GpuBackend::gate_up_in_int8(const Experts& op) {
  const gpu::Weights& gate_up = stored(op.gate_up).weights;
  const int64_t inner = gate_up.rows / 2, hidden = gate_up.columns;
  const bool rounds = stored(op.down).has_panels;
  int8_t* q = at<int8_t>(rounded_);
  gpu::Q8Scale* scale = at<gpu::Q8Scale>(rounded_scale_);
  list_->add(gpu::Q8Rows{f32(op.x), q, scale, hidden}, op.rows);
  with_panel_type(gate_up.type, [&]<gpu::Stored kType>() {
    list_->add(gpu::ExpertGateUpInt8<kType>{.x = {q, scale},
                                            .panels = gate_up.blocks,
                                            .tiles = row_tiles(),
                                            .order = i32(order_),
                                            .inner = f32(inner_),
                                            .q = rounds ? at<int8_t>(inner_q8_) : nullptr,
                                            .scale = at<gpu::Q8Scale>(inner_scale_),
                                            .inner_size = inner,
                                            .hidden = hidden,
                                            .used = op.used},
               expert_tiles(op) * gpu::panels_of(2 * inner));
  });
}

void GpuBackend::down_in_f16(const Experts& op) {
  const gpu::Weights& down = stored(op.down).weights;
  round_rows(f32(inner_), int64_t{op.rows} * op.used, down.columns);
  list_->add(gpu::ExpertDownF16{.inner = at<uint16_t>(rounded_),
                                .scale = f32(rounded_scale_),
                                .down = down,
                                .tiles = row_tiles(),
                                .out = f32(outputs_)},
             expert_tiles(op) * blocks_of(down.rows, gpu::kDownF16Outputs));
}

void GpuBackend::down_in_int8(const Experts& op) {
  const gpu::Weights& down = stored(op.down).weights;
  with_panel_type(down.type, [&]<gpu::Stored kType>() {
    list_->add(
        gpu::ExpertDownInt8<kType>{.inner = {at<int8_t>(inner_q8_), at<gpu::Q8Scale>(inner_scale_)},
                                   .panels = down.blocks,
                                   .tiles = row_tiles(),
                                   .out = f32(outputs_),
                                   .inner_size = down.columns,
                                   .hidden = down.rows},
        expert_tiles(op) * gpu::panels_of(down.rows));
  });
}

}  // namespace potluck
