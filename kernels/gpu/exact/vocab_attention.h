// Vocabulary attention (kernels/cpu/reference/vocab_attention.h) and soft embeddings of recorded
// logits, a chunk of ids after another. For each chunk these are launched in turn:
//
//   the product of h with the chunk's rows of E -> SoftCap -> VocabFold -> VocabCount -> VocabSum
//
// and VocabFinish once, after the last. Recorded logits need neither product nor SoftCap.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"
#include "topology/base/segment.h"

namespace potluck::gpu {

inline constexpr int kVocabTile = 256;         // ids of a tile of the race
inline constexpr int kVocabSpan = 32;          // ids that are summed or skipped together
inline constexpr int kVocabChunkMost = 16384;  // ids of a chunk; all but the last are whole tiles
inline constexpr int kVocabSumRows = 64;       // rows and columns that a block of VocabSum takes
inline constexpr int kVocabSumColumns = 64;
inline constexpr int kVocabSumF16Rows = 128;  // the same of VocabSumF16
inline constexpr int kVocabSumF16Columns = 128;
inline constexpr int kSoftCapValues = 1024;  // that a block of SoftCap takes

// The ids of a chunk: [first_id, first_id + ids) of the vocabulary. First_id 0 starts afresh.
struct VocabChunk {
  int64_t first_id;
  int32_t ids;

  constexpr int tiles() const { return (ids + kVocabTile - 1) / kVocabTile; }
};

// A row has come to this over the chunks so far.
struct VocabPartial {
  float max;       // the greatest z / t
  float mass;      // Σ e^(z/t − max)
  float moment;    // Σ (z/t − max) · e^(z/t − max)
  int32_t argmax;  // ties: lowest
  double race;     // the least ln(−ln u) − ln(mass) of a tile
  int32_t sample;
};

// The layout of RowCandidate (backends/operations.h).
struct VocabCandidate {
  int32_t argmax;
  int32_t sample;
  float entropy;
};

// x = cap · tanh(x / cap), [n]. Blocks: ⌈n / kSoftCapValues⌉.
struct SoftCap {
  float* x;
  int64_t n;
  float cap;
};

// Folds a chunk's z into the rows' results and replaces it by weights. Blocks: rows.
struct VocabFold {
  const StepParams* params;  // nullptr: inverse temperature 1, and nothing is drawn
  float* z;                  // [rows, ids]; then e^(z/t − max) for the max after this chunk
  VocabPartial* partial;     // [rows]
  float* keep;               // [rows]: the factor of what was summed for the max before
  uint8_t* used;             // [rows, tiles]: bit i is set where span i of a tile weighs something
  VocabChunk chunk;
  float least_share;  // weights under this share of the mass so far become 0
};

// ids_summed += the ids of the spans that any row uses. One block.
struct VocabCount {
  const uint8_t* used;  // [rows, tiles]
  int32_t* ids_summed;
  VocabChunk chunk;
  int32_t rows;
};

// soft = soft · keep + Σ weight · E[id, :] over the chunk's ids, [rows, table.columns]. Blocks:
// (⌈columns / kVocabSumColumns⌉, ⌈rows / kVocabSumRows⌉).
struct VocabSum {
  const float* weights;  // [rows, ids]
  const float* keep;     // [rows]
  const uint8_t* used;   // [rows, tiles]
  Weights table;         // all of E
  float* soft;
  VocabChunk chunk;
  int32_t rows;
};

// The same with weights and E rounded to f16 and sums in f32. Blocks: (⌈columns /
// kVocabSumF16Columns⌉, ⌈rows / kVocabSumF16Rows⌉).
struct VocabSumF16 : VocabSum {};

// The rows' candidates; soft = soft / mass · soft_scale, [rows, hidden]. Blocks: rows.
struct VocabFinish {
  const VocabPartial* partial;  // [rows]
  VocabCandidate* candidates;   // [rows], or nullptr
  float* soft;
  int64_t hidden;
  float soft_scale;
};

}  // namespace potluck::gpu
