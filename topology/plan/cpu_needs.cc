// Upper bounds of what a CPU needs, on whichever instruction set takes most.
#include "topology/plan/cpu_needs.h"

#include <algorithm>

namespace potluck {
namespace {

// Rows of W side by side: dequantized by the reference, or a fast product's panel.
constexpr uint64_t kExactPanel = 16, kPanel = 32;

// A packed row, or one of a panel, at most: f32, filled up to a vector and to an odd line, in
// slices of 768 columns.
constexpr uint64_t packed_bytes(uint64_t columns) {
  return columns * sizeof(float) + 192 + columns / 768 * 128;
}

uint64_t exact_panels(uint64_t columns, uint64_t threads) {
  return float_bytes(kExactPanel * columns) * threads;
}

// A thread takes several panels of W, up to 640 KB (kernels/cpu/fast/matmul.cc).
uint64_t fast_product(uint64_t columns, const ScratchShape& s) {
  const uint64_t panel = kPanel * packed_bytes(columns);
  return s.rows * packed_bytes(columns) +
         s.threads * std::min(8 * panel, std::max<uint64_t>(panel, 640 << 10));
}

// x packed or gathered, gate and up, the inner values packed, each slot's output.
uint64_t expert_scratch(const ModelSpec& spec, const ScratchShape& s) {
  const uint64_t hidden = spec.hidden;
  const uint64_t inner = spec.expert_intermediate;
  const uint64_t slots = s.rows * spec.experts_used;
  const uint64_t groups =
      2 * float_bytes(slots) + float_bytes(static_cast<uint64_t>(spec.experts) + 1);
  const uint64_t widest = std::max(hidden, inner);
  if (s.precision == Precision::exact)
    return groups + slots * float_bytes(hidden + 2 * inner) + exact_panels(widest, s.threads);
  return groups +
         slots * (packed_bytes(hidden) + packed_bytes(inner) + float_bytes(hidden + 2 * inner)) +
         s.threads * kPanel * packed_bytes(widest);
}

// 16 queries (fast: 256), or the heads of one KV head, share a tile of keys. Exact attention keeps
// the tile and the scores of all keys; fast attention keeps those of 256 keys at a time, in f32 and
// packed.
uint64_t attention(const ModelSpec& spec, const LayerSpec& layer, const ScratchShape& s) {
  const uint64_t dim = layer.head_dim;
  const uint64_t heads = spec.heads / layer.kv_heads;
  if (s.precision == Precision::exact) {
    const uint64_t queries = std::max<uint64_t>(16, heads);
    const uint64_t keys = layer.full ? s.keys : std::min(s.keys, spec.window + s.rows);
    return s.threads * float_bytes((queries + 32) * dim + queries * (keys + 16));
  }
  constexpr uint64_t kTile = 256;
  const uint64_t queries = std::max<uint64_t>(256, heads);
  return s.threads *
         (queries * (packed_bytes(dim) + packed_bytes(kTile) + float_bytes(kTile + dim + 3)) +
          kTile * dim * 2 + kPanel * packed_bytes(std::max(dim, kTile)) + 512);
}

// The exact operation keeps logits and rows of E of a tile of 256 ids. The fast one
// (kernels/cpu/fast/vocab_attention.cc) keeps logits of 1,024 ids and twice the weights of 512, the
// soft embedding by panels, and for each thread a panel of E or 512 rows of 256 values in bf16
// beside a panel of them.
uint64_t vocabulary(const ModelSpec& spec, const ScratchShape& s) {
  const auto hidden = spec.hidden;
  const uint64_t exact = float_bytes(256 * (hidden + s.rows) + s.rows);
  if (s.precision == Precision::exact) return exact;
  constexpr uint64_t kPart = 512, kSlice = 256;
  const uint64_t row = packed_bytes(hidden) + float_bytes(2 * kPart + 16 + 2) +
                       2 * packed_bytes(kPart) + float_bytes(hidden + kPanel) + 2 * kPart / 16;
  const uint64_t work =
      std::max(kPanel * packed_bytes(hidden), kPanel * packed_bytes(kPart) + kPart * kSlice * 2);
  return std::max(exact, s.rows * row + 2 * kPart + s.threads * work + 512);
}

// Returns what a block takes more in a panel: q4_k's and q5_k's scales and minima of 6 bits become
// bytes, low-bit types' seven signs eight and their steps four bits, mxfp4's scale two bytes.
int64_t more_in_panels(DType type) {
  switch (type) {
    case DType::q4_k:
    case DType::q5_k:
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq3_xxs:
      return 4;
    case DType::iq1_s:
    case DType::iq1_m:
      return 2;
    case DType::mxfp4:
      return 1;
    default:
      return 0;
  }
}

}  // namespace

// The fast kernels' panels have 32 rows, the last one filled up. Blocks keep their size but for
// what more_in_panels says; AMX keeps a factor for each row. What has no blocks stays as it is.
uint64_t panels_bytes(DType type, int64_t count, int64_t rows, int64_t columns) {
  constexpr int64_t kPanelRows = 32;
  constexpr uint64_t kFactorBytes = sizeof(float);
  const BlockShape block = block_shape(type);
  if (block.values == 1) return row_bytes(type, count * rows * columns);
  const int64_t padded = (rows + kPanelRows - 1) / kPanelRows * kPanelRows;
  const uint64_t more = columns / block.values * more_in_panels(type);
  return (count * padded) * (row_bytes(type, columns) + more + kFactorBytes);
}

uint64_t cpu_matrix_bytes(Precision precision, DType type, int64_t count, int64_t rows,
                          int64_t columns) {
  return precision == Precision::fast ? panels_bytes(type, count, rows, columns)
                                      : row_bytes(type, count * rows * columns);
}

uint64_t cpu_stage_scratch(const ModelSpec& spec, const ScratchShape& s) {
  uint64_t q = 0, kv = 0, most = expert_scratch(spec, s);
  for (const LayerSpec& layer : spec.layers) {
    q = std::max<uint64_t>(q, layer.q_width(spec.heads));
    kv = std::max<uint64_t>(kv, layer.kv_width());
    most = std::max(most, attention(spec, layer, s));
  }
  const uint64_t hidden = spec.hidden;
  const uint64_t columns = std::max(
      {q, hidden, static_cast<uint64_t>(std::max(spec.intermediate, spec.expert_intermediate))});
  const uint64_t route = float_bytes(s.rows * (hidden + spec.experts));
  most = std::max({most, exact_panels(columns, s.threads), float_bytes(s.rows * kv),
                   route + exact_panels(hidden, s.threads)});
  return s.precision == Precision::fast ? std::max(most, fast_product(columns, s)) : most;
}

uint64_t cpu_head_scratch(const ModelSpec& spec, const ScratchShape& s) {
  const uint64_t columns = std::max(spec.hidden, spec.intermediate);
  const uint64_t most = std::max(vocabulary(spec, s), exact_panels(columns, s.threads));
  return s.precision == Precision::fast ? std::max(most, fast_product(columns, s)) : most;
}

}  // namespace potluck
