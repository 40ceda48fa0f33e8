#include "kernels/cpu/vocab_attention.h"

#include <algorithm>
#include <limits>

#include "kernels/cpu/dequantize.h"
#include "kernels/cpu/exact_math.h"
#include "kernels/cpu/philox.h"
#include "kernels/cpu/products.h"
#include "topology/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRowsPerTask = 16;  // 16 · 2816 · 4 B = 180 KB of h stay in L2 over a tile

struct TileScratch {
  float* wide;    // [kSampleTile, H] the tile of E
  float* logits;  // [rows, kSampleTile], then e^(z − max)
};

TileScratch carve(void* scratch, int64_t hidden) {
  auto* p = static_cast<float*>(scratch);
  return {p, p + kSampleTile * hidden};
}

// What one tile says of one row: weights e^(z − max) replace z.
struct TileSums {
  float max, mass, moment;
  int32_t argmax;  // within the tile
};

TileSums reduce_tile(float* z, int64_t ids) {
  TileSums t{z[0], 0, 0, 0};
  for (int64_t j = 1; j < ids; ++j)
    if (z[j] > t.max) {
      t.max = z[j];
      t.argmax = static_cast<int32_t>(j);
    }
  float weights[kSampleTile];
  std::copy_n(z, ids, weights);
  exact_exps(weights, ids, t.max);
  for (int64_t j = 0; j < ids; ++j) {
    t.mass += weights[j];
    t.moment += (z[j] - t.max) * weights[j];
    z[j] = weights[j];
  }
  return t;
}

// The id within the tile by inverse CDF; u in (0, 1).
int64_t pick(const float* weights, int64_t ids, double u) {
  double total = 0;
  for (int64_t j = 0; j < ids; ++j) total += weights[j];
  const double target = u * total;
  double sum = 0;
  int64_t last = 0;
  for (int64_t j = 0; j < ids; ++j) {
    if (weights[j] == 0.0f) continue;
    sum += weights[j];
    last = j;
    if (sum > target) break;
  }
  return last;
}

NoiseCounter counter_of(const VocabNoise& noise, int32_t position, Purpose purpose, int64_t tile) {
  return {noise.answer, noise.canvas,
          noise.step,   static_cast<uint32_t>(position),
          purpose,      static_cast<uint32_t>(tile)};
}

// The exponential race: ln(−ln u) − ln(mass of the tile), least wins; ties: the earlier tile.
void race_tile(const VocabRequest& request, int64_t row, int64_t first_id, const TileSums& tile,
               const float* weights, int64_t ids, VocabPartial& partial) {
  const VocabNoise& noise = request.noise[row];
  const int64_t index = first_id / kSampleTile;
  const int32_t position = request.position[row];
  const double u = uniform(noise.key, counter_of(noise, position, Purpose::tile, index));
  const double log_mass = exact_log(static_cast<double>(tile.mass)) + tile.max;
  const double race = exact_log(-exact_log(u)) - log_mass;
  if (race >= partial.race) return;
  const double inside = uniform(noise.key, counter_of(noise, position, Purpose::pick, index));
  partial.race = race;
  partial.sample = static_cast<int32_t>(first_id + pick(weights, ids, inside));
}

// Σ (z − max')·e^(z − max) for another max', out of the sums for max; nothing summed yet: 0.
float shifted_moment(const VocabPartial& p, float max) {
  return p.mass == 0.0f ? 0.0f : p.moment + (p.max - max) * p.mass;
}

// Folds a tile into a row's running sums; its soft sum follows the running maximum.
void fold_tile(const TileSums& tile, int64_t first_id, int64_t hidden, VocabPartial& p, float* soft,
               float* weights, int64_t ids) {
  const float max = std::max(p.max, tile.max);
  const float keep = exact_exp(p.max - max), add = exact_exp(tile.max - max);
  if (tile.max > p.best) {
    p.best = tile.max;
    p.argmax = static_cast<int32_t>(first_id) + tile.argmax;
  }
  p.moment = shifted_moment(p, max) * keep + (tile.moment + (tile.max - max) * tile.mass) * add;
  p.mass = p.mass * keep + tile.mass * add;
  p.max = max;
  if (keep != 1.0f)
    for (int64_t i = 0; i < hidden; ++i) soft[i] *= keep;
  if (add != 1.0f)
    for (int64_t j = 0; j < ids; ++j) weights[j] *= add;
}

void start_rows(int64_t rows, int64_t hidden, VocabPartial* partial, float* soft) {
  constexpr float kLeast = std::numeric_limits<float>::lowest();
  std::fill(partial, partial + rows,
            VocabPartial{kLeast, 0, 0, kLeast, 0, std::numeric_limits<double>::infinity(), 0});
  std::fill(soft, soft + rows * hidden, 0.0f);
}

void widen(const WeightView& table, int64_t first, int64_t ids, float* wide, ThreadPool& pool) {
  pool.for_each(ids, [&](int64_t j, int) {
    dequantize_row(table.type, table.slice(first + j, 1).blocks, wide + j * table.columns,
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

// One tile of E, widened, and the rows' logits on it.
struct Tile {
  int64_t first_id, ids;
  const float* wide;  // [ids, H]
  float* logits;      // [rows, ids], then e^(z − max)
};

void capped_logits(const VocabRequest& request, const Tile& tile, int64_t begin, int64_t count) {
  const int64_t hidden = request.hidden;
  float* logits = tile.logits + begin * tile.ids;
  dot_products({request.h + begin * hidden, hidden}, count, {tile.wide, hidden}, tile.ids, hidden,
               {logits, tile.ids});
  exact_softcaps(logits, count * tile.ids, request.softcap);
}

void fold_rows(const VocabRequest& request, const Tile& tile, int64_t begin, int64_t count,
               VocabPartial* partial, float* soft) {
  const int64_t hidden = request.hidden, ids = tile.ids;
  for (int64_t t = begin; t < begin + count; ++t) {
    float* z = tile.logits + t * ids;
    for (int64_t j = 0; j < ids; ++j) z[j] *= request.inverse_temperature[t];
    const TileSums sums = reduce_tile(z, ids);
    race_tile(request, t, tile.first_id, sums, z, ids, partial[t]);
    fold_tile(sums, tile.first_id, hidden, partial[t], soft + t * hidden, z, ids);
  }
  add_weighted_sums({tile.logits + begin * ids, ids}, count, {tile.wide, hidden}, ids, hidden,
                    {soft + begin * hidden, hidden});
}

}  // namespace

size_t vocab_scratch(int64_t rows, int64_t hidden, int) {
  return static_cast<size_t>(kSampleTile * (hidden + rows) + rows) * sizeof(float);
}

void vocab_attention(const VocabRequest& request, VocabPartial* partial, float* soft, void* scratch,
                     ThreadPool& pool) {
  CHECK(request.first_id % kSampleTile == 0, request.first_id);
  const int64_t hidden = request.hidden, rows = request.rows;
  const TileScratch s = carve(scratch, hidden);
  start_rows(rows, hidden, partial, soft);
  for (int64_t first = 0; first < request.table.rows; first += kSampleTile) {
    const int64_t ids = std::min<int64_t>(kSampleTile, request.table.rows - first);
    const Tile tile{request.first_id + first, ids, s.wide, s.logits};
    widen(request.table, first, ids, s.wide, pool);
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

void merge(VocabPartial* into, float* soft_into, const VocabPartial* from, const float* soft_from,
           int64_t rows, int64_t hidden) {
  for (int64_t t = 0; t < rows; ++t) {
    VocabPartial& a = into[t];
    const VocabPartial& b = from[t];
    const float max = std::max(a.max, b.max);
    const float keep = exact_exp(a.max - max), add = exact_exp(b.max - max);
    if (b.best > a.best || (b.best == a.best && b.argmax < a.argmax)) {
      a.best = b.best;
      a.argmax = b.argmax;
    }
    a.moment = shifted_moment(a, max) * keep + shifted_moment(b, max) * add;
    a.mass = a.mass * keep + b.mass * add;
    a.max = max;
    if (b.race < a.race || (b.race == a.race && b.sample < a.sample)) {
      a.race = b.race;
      a.sample = b.sample;
    }
    for (int64_t i = t * hidden; soft_into && i < (t + 1) * hidden; ++i)
      soft_into[i] = soft_into[i] * keep + soft_from[i] * add;
  }
}

void finish(const VocabPartial* partial, int64_t rows, int64_t hidden, float* entropy,
            float* soft) {
  for (int64_t t = 0; t < rows; ++t) {
    const VocabPartial& p = partial[t];
    const double log_mass = exact_log(static_cast<double>(p.mass));
    const double nats = log_mass - static_cast<double>(p.moment) / p.mass;
    entropy[t] = std::max(0.0f, static_cast<float>(nats));
    for (int64_t i = t * hidden; soft && i < (t + 1) * hidden; ++i) soft[i] /= p.mass;
  }
}

void soft_from_logits(const float* z, int64_t rows, const WeightView& table, float* soft,
                      float* scratch, ThreadPool& pool) {
  const int64_t hidden = table.columns, vocab = table.rows;
  const TileScratch s = carve(scratch, hidden);
  float* max = s.logits + rows * kSampleTile;
  std::fill(soft, soft + rows * hidden, 0.0f);
  for (int64_t t = 0; t < rows; ++t) max[t] = *std::max_element(z + t * vocab, z + (t + 1) * vocab);
  for (int64_t first = 0; first < vocab; first += kSampleTile) {
    const int64_t ids = std::min<int64_t>(kSampleTile, vocab - first);
    widen(table, first, ids, s.wide, pool);
    each_rows(rows, pool, [&](int64_t begin, int64_t count) {
      for (int64_t t = begin; t < begin + count; ++t)
        for (int64_t j = 0; j < ids; ++j)
          s.logits[t * ids + j] = exact_exp(z[t * vocab + first + j] - max[t]);
      add_weighted_sums({s.logits + begin * ids, ids}, count, {s.wide, hidden}, ids, hidden,
                        {soft + begin * hidden, hidden});
    });
  }
  pool.for_each(rows, [&](int64_t t, int) {
    double mass = 0;
    for (int64_t j = 0; j < vocab; ++j) mass += exact_exp(z[t * vocab + j] - max[t]);
    const auto inverse = static_cast<float>(1.0 / mass);
    for (int64_t i = 0; i < hidden; ++i) soft[t * hidden + i] *= inverse;
  });
}

}  // namespace potluck::cpu
