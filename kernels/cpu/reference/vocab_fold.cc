// Reduces a tile, lets it race for the sample, and adds its sums to the row's.
#include "kernels/cpu/reference/vocab_fold.h"

#include <algorithm>
#include <limits>

#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/lanes.h"
#include "kernels/cpu/reference/reduce.h"
#include "kernels/noise/philox.h"

namespace potluck::cpu {
namespace {

// The sums of one tile for one row; weights e^(z − max) replace z.
struct TileSums {
  float max, mass, moment;
  int32_t argmax;  // within the tile
};

// Returns the index of the first of the greatest; 0 if z[0] is not a number.
int32_t greatest(const float* z, int64_t n) {
  const float* first = std::find(z, z + n, max_of(z, n));
  return first < z + n ? (first - z) : 0;
}

POTLUCK_CLONES TileSums reduce_tile(float* z, int64_t ids, float inverse_temperature, Exps exps) {
  for (int64_t j = 0; j < ids; ++j) z[j] *= inverse_temperature;
  const int32_t most = greatest(z, ids);
  TileSums t{z[most], 0, 0, most};
  float moments[kSampleTile];
  for (int64_t j = 0; j < ids; ++j) moments[j] = z[j] - t.max;
  exps(z, ids, t.max);
  for (int64_t j = 0; j < ids; ++j) moments[j] *= z[j];
  t.mass = sum_of(z, ids);
  t.moment = sum_of(moments, ids);
  return t;
}

// Picks the id within the tile by inverse CDF; u in (0, 1).
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

// The exponential race: ln(−ln u) − ln(mass of the tile), least wins; ties: the earlier tile.
void race_tile(const VocabRequest& request, int64_t row, const LogitTile& weights,
               const TileSums& tile, VocabPartial& partial) {
  noise::NoiseAddress at{request.noise[row], static_cast<uint32_t>(request.position[row]),
                         noise::Purpose::tile,
                         static_cast<uint32_t>(weights.first_id / kSampleTile)};
  const double u = noise::uniform(at);
  const double log_mass = exact_log(tile.mass) + tile.max;
  const double race = exact_log(-exact_log(u)) - log_mass;
  if (race >= partial.race) return;
  at.purpose = noise::Purpose::pick;
  const double inside = noise::uniform(at);
  partial.race = race;
  partial.sample = weights.first_id + pick(weights.z, weights.ids, inside);
}

// Σ (z − max')·e^(z − max) for another max', out of the sums for max; nothing summed yet: 0.
float shifted_moment(const VocabPartial& p, float max) {
  return p.mass == 0.0f ? 0.0f : p.moment + (p.max - max) * p.mass;
}

}  // namespace

void start_rows(int64_t rows, VocabPartial* partial) {
  constexpr float kLeast = std::numeric_limits<float>::lowest();
  std::fill(partial, partial + rows,
            VocabPartial{kLeast, 0, 0, kLeast, 0, std::numeric_limits<double>::infinity(), 0});
}

float fold_tile(const VocabRequest& request, int64_t row, const LogitTile& logits,
                VocabPartial& p) {
  const auto [first_id, ids, z, exps] = logits;
  const TileSums tile = reduce_tile(z, ids, request.inverse_temperature[row], exps);
  race_tile(request, row, logits, tile, p);
  const float max = std::max(p.max, tile.max);
  const float keep = exact_exp(p.max - max), add = exact_exp(tile.max - max);
  if (tile.max > p.best) {
    p.best = tile.max;
    p.argmax = first_id + tile.argmax;
  }
  p.moment = shifted_moment(p, max) * keep + (tile.moment + (tile.max - max) * tile.mass) * add;
  p.mass = p.mass * keep + tile.mass * add;
  p.max = max;
  if (add != 1.0f)
    for (int64_t j = 0; j < ids; ++j) z[j] *= add;
  return keep;
}

}  // namespace potluck::cpu
