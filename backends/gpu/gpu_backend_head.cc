// The head's operations on a card. The vocabulary is taken a chunk of ids at a time: its logits
// fit a reserved buffer, and its rows of E stay in the card's cache between the two products.
#include <algorithm>
#include <cstring>

#include "backends/gpu/device_memory.h"
#include "backends/gpu/gpu_backend.h"
#include "kernels/gpu/exact/canvas_input.h"
#include "kernels/gpu/exact/embed.h"
#include "kernels/gpu/exact/vocab_attention.h"
#include "kernels/gpu/fast/f16_rows.h"

namespace potluck {
namespace {

// Fast sums leave out what weighs less than this share of a row's mass so far.
constexpr float kLeastShare = 0x1p-24f;

static_assert(sizeof(gpu::VocabCandidate) == sizeof(RowCandidate));

// Rows [first, first + count) of a table.
gpu::Weights slice(gpu::Weights table, int64_t first, int64_t count) {
  table.blocks += first * table.row_bytes;
  table.rows = count;
  return table;
}

}  // namespace

void GpuBackend::reserve_head(const Limits& limits) {
  const int64_t rows = limits.rows, ids = std::min<int64_t>(options_.chunk_ids, limits.spec->vocab);
  reserve(logits_, rows * ids * sizeof(float));
  reserve(partial_, rows * sizeof(gpu::VocabPartial));
  reserve(keep_, rows * sizeof(float));
  reserve(used_, rows * blocks_of(ids, gpu::kVocabTile));
  reserve(counted_, sizeof(int32_t));
  const int64_t columns = std::max(limits.spec->hidden, limits.spec->intermediate);
  reserve(rounded_, rows * gpu::f16_stride(columns) * sizeof(uint16_t));
  reserve(rounded_scale_, rows * sizeof(float));
}

void GpuBackend::embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) {
  list_->add(gpu::Embed{i32(ids), stored(table).weights, embed_scale, f32(out)}, rows);
}

void GpuBackend::canvas_input(const CanvasInput& op) {
  list_->add(gpu::CanvasInput{.params = params(op.params),
                              .x = f32(op.x),
                              .s = f32(op.s),
                              .out = f32(op.out),
                              .n = op.n,
                              .eps = op.eps,
                              .stream = float_type(op.stream)},
             op.rows);
}

// Folds a chunk whose z lies in `logits_`, and adds its share of Σ p·E.
void GpuBackend::add_chunk(const gpu::Weights& table, const gpu::VocabChunk& chunk,
                           const StepParams* params, int rows, float* soft) {
  list_->add(gpu::VocabFold{.params = params,
                            .z = f32(logits_),
                            .partial = at<gpu::VocabPartial>(partial_),
                            .keep = f32(keep_),
                            .used = at<uint8_t>(used_),
                            .chunk = chunk,
                            .least_share = fast() ? kLeastShare : 0},
             rows);
  const int64_t step = fast() ? gpu::kVocabSumF16Rows : gpu::kVocabSumRows;
  in_parts({rows, 2.0 * chunk.ids * table.columns, step}, [&](int64_t first, int32_t some) {
    sum_chunk({.weights = f32(logits_) + first * chunk.ids,
               .keep = f32(keep_) + first,
               .used = at<uint8_t>(used_) + first * chunk.tiles(),
               .table = table,
               .soft = soft + first * table.columns,
               .chunk = chunk,
               .rows = some});
  });
}

void GpuBackend::sum_chunk(const gpu::VocabSum& sum) {
  const int64_t columns = sum.table.columns;
  if (fast())
    list_->add(gpu::VocabSumF16{sum}, blocks_of(columns, gpu::kVocabSumF16Columns),
               blocks_of(sum.rows, gpu::kVocabSumF16Rows));
  else
    list_->add(sum, blocks_of(columns, gpu::kVocabSumColumns),
               blocks_of(sum.rows, gpu::kVocabSumRows));
}

// Makes candidates and soft embeddings of what the chunks have come to.
void GpuBackend::finish(gpu::VocabFinish finish, int rows) {
  finish.partial = at<gpu::VocabPartial>(partial_);
  list_->add(finish, rows);
}

// Adds the rows of E that the chunk's sum read to `counted_`.
void GpuBackend::count_chunk(const gpu::VocabChunk& chunk, int rows) {
  list_->add(gpu::VocabCount{at<uint8_t>(used_), i32(counted_), chunk, rows}, 1);
}

// Brings the chunk's logits to the host for the tap, and waits for them.
void GpuBackend::show(const LogitTap& tap, const gpu::VocabChunk& chunk, int rows) {
  const size_t bytes = sizeof(float) * rows * chunk.ids;
  std::vector<float> logits(size_t(rows) * chunk.ids);
  fetch(logits_.data, bytes, logits.data());
  drain();
  tap(chunk.first_id, chunk.ids, logits.data());
}

void GpuBackend::vocab_attention(const VocabAttention& op) {
  const gpu::Weights table = stored(op.table).weights;
  const bool counts = !op.ids_summed.empty();
  if (counts) fill_words(0, 1, counted_.data);
  if (fast()) round_rows(f32(op.h), op.rows, table.columns);
  for (int64_t first = 0; first < table.rows; first += options_.chunk_ids) {
    const int64_t ids = std::min(options_.chunk_ids, table.rows - first);
    const gpu::VocabChunk chunk{first, static_cast<int32_t>(ids)};
    const gpu::Weights some = slice(table, first, ids);
    if (fast())
      multiply_rounded(some, op.rows, f32(logits_));
    else
      multiply(f32(op.h), some, op.rows, f32(logits_), false);
    const int64_t values = op.rows * ids;
    list_->add(gpu::SoftCap{f32(logits_), values, op.softcap},
               blocks_of(values, gpu::kSoftCapValues));
    if (op.tap) show(op.tap, chunk, op.rows);
    add_chunk(table, chunk, params(op.params), op.rows, f32(op.soft));
    if (counts) count_chunk(chunk, op.rows);
  }
  finish({.candidates = at<gpu::VocabCandidate>(op.candidates),
          .soft = f32(op.soft),
          .hidden = table.columns,
          .soft_scale = op.soft_scale},
         op.rows);
  if (counts) copy(counted_, 0, op.ids_summed, 0, sizeof(int32_t));
}

void GpuBackend::soft_from_logits(const float* z, const Matrix& matrix, float soft_scale, int rows,
                                  Tensor soft) {
  const gpu::Weights table = stored(matrix).weights;
  std::vector<float> part;
  for (int64_t first = 0; first < table.rows; first += options_.chunk_ids) {
    const int64_t ids = std::min(options_.chunk_ids, table.rows - first);
    part.resize(rows * ids);
    for (int64_t t = 0; t < rows; ++t)
      std::copy_n(z + t * table.rows + first, ids, part.data() + t * ids);
    send(part.data(), part.size() * sizeof(float), logits_);
    add_chunk(table, {first, static_cast<int32_t>(ids)}, nullptr, rows, f32(soft));
  }
  finish({.soft = f32(soft), .hidden = table.columns, .soft_scale = soft_scale}, rows);
}

}  // namespace potluck
