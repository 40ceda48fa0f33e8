// Upper bounds of what GpuBackend keeps: matrices as they are stored, where its kernels multiply
// their type, and the scratch that its reserve() takes.
#include "topology/plan/gpu_needs.h"

#include <algorithm>

namespace potluck {
namespace {

constexpr uint64_t floats(uint64_t count) {
  return count * sizeof(float);
}

// The types that become f32 on a card.
bool is_expanded(DType type) {
  return type == DType::q4_1 || type == DType::q2_k || type == DType::q3_k || type == DType::iq4_xs;
}

// Rows in their wire form, f32 at most.
uint64_t wire(const ModelSpec& spec, const ScratchShape& s) {
  return floats(s.rows * spec.hidden);
}

}  // namespace

uint64_t gpu_matrix_bytes(Precision, DType type, int64_t count, int64_t rows, int64_t columns) {
  return row_bytes(is_expanded(type) ? DType::f32 : type, count * rows * columns);
}

// The slots' grouping, in tiles of 32 rows of one expert, and their inner values and outputs.
uint64_t gpu_stage_scratch(const ModelSpec& spec, const ScratchShape& s) {
  const uint64_t slots = s.rows * spec.experts_used, experts = spec.experts;
  const uint64_t tiles = slots / 32 + std::min(slots, experts);
  const uint64_t grouping = floats(2 * slots + experts + 1 + 3 * tiles + 1);
  const uint64_t inner = spec.expert_intermediate, hidden = spec.hidden;
  uint64_t columns = std::max(spec.hidden, spec.intermediate);
  for (const LayerSpec& layer : spec.layers)
    columns = std::max<uint64_t>(columns, layer.q_width(spec.heads));
  const uint64_t rounded = 2 * (s.rows * (columns + 32) + slots * (inner + 32));
  const uint64_t scales = floats(slots * (1 + inner / 32) + s.rows * (hidden / 32 + 1));
  return wire(spec, s) + grouping + floats(slots * (inner + hidden)) + rounded + scales +
         slots * inner;
}

// The logits of a chunk of 8,192 ids, which of its 32 tiles weigh anything, and 36 bytes for each
// row.
uint64_t gpu_head_scratch(const ModelSpec& spec, const ScratchShape& s) {
  const uint64_t ids = std::min(8192, spec.vocab);
  const uint64_t columns = std::max(spec.hidden, spec.intermediate);
  const uint64_t rounded = s.rows * (2 * (columns + 32) + sizeof(float));
  return wire(spec, s) + s.rows * (floats(ids) + 32 + 40 + sizeof(float)) + sizeof(float) + rounded;
}

}  // namespace potluck
