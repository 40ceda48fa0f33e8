// Draws by the definition, in f64, and bounds what logits that are off can draw.
#include "cluster/verify/drawn_ids.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/reference/vocab_attention.h"
#include "kernels/noise/philox.h"

namespace potluck {
namespace {

// Weights of a tile and their sum are f32: so far their logarithms may be off besides, as the ids
// of a tile are summed one after another at worst and e^x is exact to 2 ulp.
constexpr double kSumsOff = (cpu::kSampleTile + 4) * 0x1p-24;

double uniform(const DrawnRow& row, noise::Purpose purpose, size_t tile) {
  return noise::uniform(
      {row.key, static_cast<uint32_t>(row.position), purpose, static_cast<uint32_t>(tile)});
}

std::span<const float> tile_of(const DrawnRow& row, size_t tile) {
  const size_t first = tile * cpu::kSampleTile;
  return row.logits.subspan(first, std::min<size_t>(cpu::kSampleTile, row.logits.size() - first));
}

size_t tiles_of(const DrawnRow& row) {
  return (row.logits.size() + cpu::kSampleTile - 1) / cpu::kSampleTile;
}

double mass(const DrawnRow& row, std::span<const float> logits) {
  double sum = 0;
  for (const float z : logits) sum += std::exp(z * row.inverse_temperature);
  return sum;
}

double race(const DrawnRow& row, size_t tile) {
  return std::log(-std::log(uniform(row, noise::Purpose::tile, tile))) -
         std::log(mass(row, tile_of(row, tile)));
}

size_t winner(const DrawnRow& row) {
  size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (size_t tile = 0; tile < tiles_of(row); ++tile)
    if (const double ours = race(row, tile); ours < least) {
      least = ours;
      best = tile;
    }
  return best;
}

// The share of its tile that `before` of a tile's weights have where they are `factor` as great as
// they should be, and the others as much too small.
double share(double before, double all, double factor) {
  return before * factor / (before * factor + (all - before) / factor);
}

}  // namespace

int32_t drawn_id(const DrawnRow& row) {
  const size_t tile = winner(row);
  const std::span<const float> logits = tile_of(row, tile);
  const double target = uniform(row, noise::Purpose::pick, tile) * mass(row, logits);
  double sum = 0;
  size_t at = 0;
  for (; at + 1 < logits.size(); ++at) {
    sum += std::exp(logits[at] * row.inverse_temperature);
    if (sum > target) break;
  }
  return static_cast<int32_t>(tile * cpu::kSampleTile + at);
}

bool can_be_drawn(const DrawnRow& row, int32_t id, double off) {
  const double slack = off * row.inverse_temperature + kSumsOff;
  const size_t tile = id / cpu::kSampleTile, at = id % cpu::kSampleTile;
  if (race(row, tile) - race(row, winner(row)) > 2 * slack) return false;
  const std::span<const float> logits = tile_of(row, tile);
  const double all = mass(row, logits), u = uniform(row, noise::Purpose::pick, tile);
  const double before = mass(row, logits.first(at)), until = mass(row, logits.first(at + 1));
  return share(before, all, std::exp(-slack)) <= u && u <= share(until, all, std::exp(slack));
}

bool can_be_greatest(const DrawnRow& row, int32_t id, double off) {
  return row.logits[id] + 2 * off >= *std::max_element(row.logits.begin(), row.logits.end());
}

void add_row(const DrawnRow& row, int32_t argmax, int32_t sample, double off, DrawnIds& ids) {
  const auto greatest = std::max_element(row.logits.begin(), row.logits.end());
  ids.chosen += 2;
  ids.differ += argmax != greatest - row.logits.begin();
  ids.unexplained += !can_be_greatest(row, argmax, off);
  ids.differ += sample != drawn_id(row);
  ids.unexplained += !can_be_drawn(row, sample, off);
}

}  // namespace potluck
