// Upper bounds of what GpuBackend keeps: matrices as they are stored or in panels, and the scratch
// that its reserve() takes.
#include "topology/plan/gpu_needs.h"

#include <algorithm>
#include <iterator>

namespace potluck {
namespace {

// The types that have panels.
bool has_panels(DType type) {
  constexpr DType kTypes[] = {DType::q8_0, DType::q4_0, DType::q5_0, DType::q5_1,
                              DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

// Rows in their wire form, f32 at most.
uint64_t wire(const ModelSpec& spec, const ScratchShape& s) {
  return float_bytes(s.rows * spec.hidden);
}

}  // namespace

// Experts that fast products multiply lie in panels (kernels/gpu/fast/panels.h): of 64 rows, half
// of them from each half of a matrix, and with scales and mins of a byte where q4_k and q5_k have 6
// bits.
uint64_t gpu_matrix_bytes(Precision precision, DType type, int64_t count, int64_t rows,
                          int64_t columns) {
  if (precision != Precision::fast || count == 1 || !has_panels(type))
    return row_bytes(type, count * rows * columns);
  const uint64_t row = row_bytes(type, columns);
  const uint64_t wide = type == DType::q4_k || type == DType::q5_k ? columns / 64 : 0;
  return count * (((rows + 1) / 2 + 31) / 32 * 64) * (row + wide);
}

// The results of attention's spans of keys, of 256 rows and the layer that has most of them: of 512
// keys, and without a window from position 2,048 on four for each power of two.
uint64_t spans(const ModelSpec& spec, const ScratchShape& s) {
  uint64_t most = 0;
  for (const LayerSpec& layer : spec.layers) {
    uint64_t cached = (spec.window + 64) / 512 + 2;
    if (layer.full)
      for (cached = 4; uint64_t{1024} << cached / 4 < s.keys; cached += 4) {
      }
    const uint64_t count = cached + s.rows / 512 + 1;
    most = std::max(most, count * spec.heads * (layer.head_dim + 2));
  }
  return float_bytes(std::min<uint64_t>(256, s.rows) * most);
}

// A sine and a cosine for each row and pair of a head, for both kinds of layers.
uint64_t angles(const ModelSpec& spec, const ScratchShape& s) {
  uint64_t pairs = 0;
  for (const LayerSpec& layer : spec.layers) pairs = std::max<uint64_t>(pairs, layer.head_dim / 2);
  return float_bytes(2 * 2 * s.rows * pairs);
}

// The slots' grouping, in tiles of at least 24 rows of one expert, their inner values and outputs,
// and an expert's two matrices on their way into panels, with 34 bytes for 32 values at most.
uint64_t gpu_stage_scratch(const ModelSpec& spec, const ScratchShape& s) {
  const uint64_t slots = s.rows * spec.experts_used, experts = spec.experts;
  const uint64_t tiles = slots / 24 + std::min(slots, experts);
  const uint64_t grouping = float_bytes(2 * slots + experts + 1 + 3 * tiles + 1);
  const uint64_t inner = spec.expert_intermediate, hidden = spec.hidden;
  uint64_t columns = std::max(spec.hidden, spec.intermediate);
  for (const LayerSpec& layer : spec.layers)
    columns = std::max<uint64_t>(columns, layer.q_width(spec.heads));
  const uint64_t rounded = 2 * (s.rows * (columns + 32) + slots * (inner + 32));
  const uint64_t scales =
      float_bytes(slots * (1 + 2 * (inner / 32 + 1)) + 2 * s.rows * (hidden / 32 + 1));
  const uint64_t staged = (inner + 1) * (hidden + 32) * 3 * 34 / 32;
  return wire(spec, s) + angles(spec, s) + grouping + float_bytes(slots * (inner + hidden)) +
         rounded + scales + slots * inner + staged +
         (s.precision == Precision::fast ? spans(spec, s) : 0);
}

// The logits of a chunk of 8,192 ids, which of its 32 tiles weigh anything, and 36 bytes for each
// row.
uint64_t gpu_head_scratch(const ModelSpec& spec, const ScratchShape& s) {
  const uint64_t ids = std::min(8192, spec.vocab);
  const uint64_t columns = std::max(spec.hidden, spec.intermediate);
  const uint64_t rounded = s.rows * (2 * (columns + 32) + sizeof(float));
  return wire(spec, s) + s.rows * (float_bytes(ids) + 32 + 40 + sizeof(float)) + sizeof(float) +
         rounded;
}

// A link has a communicator for each direction in which it is used.
uint64_t nccl_bytes(bool sends, bool receives) {
  return (sends ? kNcclOwnBytes + kNcclSendBytes : 0) +
         (receives ? kNcclOwnBytes + kNcclReceiveBytes : 0);
}

}  // namespace potluck
