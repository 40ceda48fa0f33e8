// Tiles of E are dequantized one after another; threads share a tile's rows, then the canvas' rows.
#include "kernels/cpu/reference/vocab_attention.h"

#include <algorithm>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/row_products.h"
#include "kernels/cpu/reference/vocab_fold.h"
#include "topology/base/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRowsPerTask = 16;  // 16 · 2816 · 4 B = 180 KB of h stay in L2 over a tile

struct TileScratch {
  float* e;       // [kSampleTile, H] the tile of E
  float* logits;  // [rows, kSampleTile], then e^(z − max)
};

TileScratch take_scratch(void* scratch, int64_t hidden) {
  auto* p = static_cast<float*>(scratch);
  return {p, p + kSampleTile * hidden};
}

void dequantize_rows(const WeightView& table, int64_t first, int64_t ids, float* e,
                     ThreadPool& pool) {
  pool.for_each(ids, [&](int64_t j, int) {
    dequantize_row(table.type, table.slice(first + j, 1).blocks, e + j * table.columns,
                   table.columns);
  });
}

template <typename Body>
void each_rows(int64_t rows, ThreadPool& pool, const Body& body) {
  pool.for_each((rows + kRowsPerTask - 1) / kRowsPerTask, [&](int64_t task, int) {
    const int64_t begin = task * kRowsPerTask;
    body(begin, std::min(kRowsPerTask, rows - begin));
  });
}

// One tile of E in f32, and the rows' logits on it.
struct Tile {
  int64_t first_id, ids;
  const float* e;  // [ids, H]
  float* logits;   // [rows, ids], then e^(z − max)
};

void capped_logits(const VocabRequest& request, const Tile& tile, int64_t begin, int64_t count) {
  const int64_t hidden = request.hidden;
  float* logits = tile.logits + begin * tile.ids;
  dot_products({request.h + begin * hidden, hidden}, count, {tile.e, hidden}, tile.ids, hidden,
               {logits, tile.ids});
  exact_softcaps(logits, count * tile.ids, request.softcap);
}

void fold_rows(const VocabRequest& request, const Tile& tile, int64_t begin, int64_t count,
               VocabPartial* partial, float* soft) {
  const int64_t hidden = request.hidden, ids = tile.ids;
  for (int64_t t = begin; t < begin + count; ++t) {
    const float keep =
        fold_tile(request, t, {tile.first_id, ids, tile.logits + t * ids, exact_exps}, partial[t]);
    if (keep == 1.0f) continue;
    for (int64_t i = t * hidden; i < (t + 1) * hidden; ++i) soft[i] *= keep;
  }
  add_weighted_sums({tile.logits + begin * ids, ids}, count, {tile.e, hidden}, ids, hidden,
                    {soft + begin * hidden, hidden});
}

}  // namespace

size_t vocab_scratch(int64_t rows, int64_t hidden, int) {
  return (kSampleTile * (hidden + rows) + rows) * sizeof(float);
}

void vocab_attention(const VocabRequest& request, VocabPartial* partial, float* soft, void* scratch,
                     ThreadPool& pool) {
  const int64_t hidden = request.hidden, rows = request.rows;
  const TileScratch s = take_scratch(scratch, hidden);
  start_rows(rows, partial);
  std::fill(soft, soft + rows * hidden, 0.0f);
  for (int64_t first = 0; first < request.table.rows; first += kSampleTile) {
    const int64_t ids = std::min<int64_t>(kSampleTile, request.table.rows - first);
    const Tile tile{first, ids, s.e, s.logits};
    dequantize_rows(request.table, first, ids, s.e, pool);
    each_rows(rows, pool, [&](int64_t begin, int64_t count) {
      capped_logits(request, tile, begin, count);
      if (!request.tap) fold_rows(request, tile, begin, count, partial, soft);
    });
    if (!request.tap) continue;
    request.tap(tile.first_id, ids, s.logits);
    each_rows(rows, pool, [&](int64_t begin, int64_t count) {
      fold_rows(request, tile, begin, count, partial, soft);
    });
  }
}

void finish(const VocabPartial* partial, int64_t rows, int64_t hidden, float* entropy,
            float* soft) {
  for (int64_t t = 0; t < rows; ++t) {
    const VocabPartial& p = partial[t];
    const double log_mass = exact_log(p.mass);
    const double nats = log_mass - static_cast<double>(p.moment) / p.mass;
    entropy[t] = nats <= 0 ? 0.0f : static_cast<float>(nats);  // a NaN stays one
    for (int64_t i = t * hidden; soft && i < (t + 1) * hidden; ++i) soft[i] /= p.mass;
  }
}

void soft_from_logits(const float* z, int64_t rows, const WeightView& table, float* soft,
                      float* scratch, ThreadPool& pool) {
  const int64_t hidden = table.columns, vocab = table.rows;
  const TileScratch s = take_scratch(scratch, hidden);
  float* max = s.logits + rows * kSampleTile;
  std::fill(soft, soft + rows * hidden, 0.0f);
  for (int64_t t = 0; t < rows; ++t) max[t] = *std::max_element(z + t * vocab, z + (t + 1) * vocab);
  for (int64_t first = 0; first < vocab; first += kSampleTile) {
    const int64_t ids = std::min<int64_t>(kSampleTile, vocab - first);
    dequantize_rows(table, first, ids, s.e, pool);
    each_rows(rows, pool, [&](int64_t begin, int64_t count) {
      for (int64_t t = begin; t < begin + count; ++t)
        for (int64_t j = 0; j < ids; ++j)
          s.logits[t * ids + j] = exact_exp(z[t * vocab + first + j] - max[t]);
      add_weighted_sums({s.logits + begin * ids, ids}, count, {s.e, hidden}, ids, hidden,
                        {soft + begin * hidden, hidden});
    });
  }
  pool.for_each(rows, [&](int64_t t, int) {
    double mass = 0;
    for (int64_t j = 0; j < vocab; ++j) mass += exact_exp(z[t * vocab + j] - max[t]);
    const float inverse = 1.0 / mass;
    for (int64_t i = 0; i < hidden; ++i) soft[t * hidden + i] *= inverse;
  });
}

}  // namespace potluck::cpu
