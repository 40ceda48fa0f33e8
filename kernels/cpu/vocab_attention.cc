#include "kernels/cpu/vocab_attention.h"

#include <algorithm>
#include <limits>

#include "kernels/cpu/dequantize.h"
#include "kernels/cpu/exact_math.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/philox.h"
#include "topology/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRowsPerTask = 4;  // rows that share a widened tile row while it is in cache

struct TileScratch {
  float* wide;    // [kSampleTile, H] the tile of E
  float* logits;  // [rows, kSampleTile], then e^(z − max)
};

TileScratch carve(void* scratch, int64_t hidden) {
  auto* p = static_cast<float*>(scratch);
  return {p, p + kSampleTile * hidden};
}

// acc[:] += Σ_j p[j] · e[j, :], j in order.
POTLUCK_CLONES void add_weighted(const float* p, const float* e, int64_t ids, int64_t hidden,
                                 float* acc) {
  for (int64_t j = 0; j < ids; ++j) {
    if (p[j] == 0.0f) continue;
    for (int64_t i = 0; i < hidden; ++i) acc[i] += p[j] * e[j * hidden + i];
  }
}

POTLUCK_CLONES void dot_rows(const float* h, const float* e, int64_t ids, int64_t hidden,
                             float* out) {
  for (int64_t j = 0; j < ids; ++j) {
    Lanes sum = {};
    for (int64_t i = 0; i < hidden; i += kLanes) {
      Lanes x, y;
      const int64_t n = std::min<int64_t>(kLanes, hidden - i);
      if (n == kLanes) {
        load_lanes(h + i, x);
        load_lanes(e + j * hidden + i, y);
      } else {
        load_lanes_part(h + i, n, x);
        load_lanes_part(e + j * hidden + i, n, y);
      }
      sum += x * y;
    }
    out[j] = sum_lanes(sum);
  }
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
  for (int64_t j = 0; j < ids; ++j) {
    const float weight = exact_exp(z[j] - t.max);
    t.mass += weight;
    t.moment += (z[j] - t.max) * weight;
    z[j] = weight;
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
void each_row(int64_t rows, ThreadPool& pool, const Body& body) {
  pool.for_each((rows + kRowsPerTask - 1) / kRowsPerTask, [&](int64_t task, int) {
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t t = task * kRowsPerTask; t < end; ++t) body(t);
  });
}

}  // namespace

size_t vocab_scratch(int64_t rows, int64_t hidden, int) {
  return static_cast<size_t>(kSampleTile * (hidden + rows)) * sizeof(float);
}

void vocab_attention(const VocabRequest& request, VocabPartial* partial, float* soft, void* scratch,
                     ThreadPool& pool) {
  CHECK(request.first_id % kSampleTile == 0, request.first_id);
  const int64_t hidden = request.hidden, rows = request.rows;
  const TileScratch s = carve(scratch, hidden);
  start_rows(rows, hidden, partial, soft);
  for (int64_t first = 0; first < request.table.rows; first += kSampleTile) {
    const int64_t ids = std::min<int64_t>(kSampleTile, request.table.rows - first);
    const int64_t first_id = request.first_id + first;
    widen(request.table, first, ids, s.wide, pool);
    each_row(rows, pool, [&](int64_t t) {
      float* logits = s.logits + t * ids;
      dot_rows(request.h + t * hidden, s.wide, ids, hidden, logits);
      for (int64_t j = 0; j < ids; ++j)
        logits[j] = request.softcap * exact_tanh(logits[j] / request.softcap);
    });
    if (request.tap) request.tap(first_id, ids, s.logits);
    each_row(rows, pool, [&](int64_t t) {
      float* z = s.logits + t * ids;
      for (int64_t j = 0; j < ids; ++j) z[j] *= request.inverse_temperature[t];
      const TileSums tile = reduce_tile(z, ids);
      race_tile(request, t, first_id, tile, z, ids, partial[t]);
      fold_tile(tile, first_id, hidden, partial[t], soft + t * hidden, z, ids);
      add_weighted(z, s.wide, ids, hidden, soft + t * hidden);
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
  std::fill(soft, soft + rows * hidden, 0.0f);
  for (int64_t first = 0; first < vocab; first += kSampleTile) {
    const int64_t ids = std::min<int64_t>(kSampleTile, vocab - first);
    widen(table, first, ids, s.wide, pool);
    each_row(rows, pool, [&](int64_t t) {
      const float* row = z + t * vocab;
      const float max = *std::max_element(row, row + vocab);
      float* weights = s.logits + t * ids;
      for (int64_t j = 0; j < ids; ++j) weights[j] = exact_exp(row[first + j] - max);
      add_weighted(weights, s.wide, ids, hidden, soft + t * hidden);
    });
  }
  each_row(rows, pool, [&](int64_t t) {
    const float* row = z + t * vocab;
    const float max = *std::max_element(row, row + vocab);
    double mass = 0;
    for (int64_t j = 0; j < vocab; ++j) mass += exact_exp(row[j] - max);
    const auto inverse = static_cast<float>(1.0 / mass);
    for (int64_t i = 0; i < hidden; ++i) soft[t * hidden + i] *= inverse;
  });
}

}  // namespace potluck::cpu
