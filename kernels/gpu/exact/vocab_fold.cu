// A block folds a row's chunk: warps reduce tiles of 256 ids, a thread a tile races, one thread
// merges the tiles in order, and warps turn the tiles' weights into the chunk's.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/device/segments.h"
#include "kernels/gpu/exact/vocab_attention.h"
#include "kernels/noise/philox.h"

namespace potluck::gpu::vocab_folding {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kTilesMost = kVocabChunkMost / kVocabTile;
constexpr int kSpans = kVocabTile / kVocabSpan;  // of a tile: a lane has an id of each
constexpr float kLeast = -0x1.fffffep127f;

struct TileSums {
  float max, mass, moment;
  int32_t argmax;  // of the vocabulary
};

struct Shared {
  TileSums tiles[kTilesMost];
  double races[kTilesMost];
  VocabPartial row;
};

// Sums a tile's values, of which a lane has kSpans.
GPU_DEVICE float tile_sum(const float (&values)[kSpans]) {
  float sum = 0;
  GPU_UNROLL
  for (int i = 0; i < kSpans; ++i) sum += values[i];
  return warp_sum(sum);
}

GPU_DEVICE int warp_min(int value) {
  GPU_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) {
    const int other = shuffle_xor(value, mask);
    value = other < value ? other : value;
  }
  return value;
}

// A warp takes the sums of a tile of `ids` ids and replaces z by e^(z/t − the tile's max).
GPU_DEVICE TileSums reduce_tile(float* z, int ids, float inverse_temperature) {
  float x[kSpans], weights[kSpans], moments[kSpans], most = kLeast;
  GPU_UNROLL
  for (int i = 0; i < kSpans; ++i) {
    const int id = i * kVocabSpan + lane();
    x[i] = id < ids ? z[id] * inverse_temperature : kLeast;
    most = x[i] > most ? x[i] : most;
  }
  const float max = warp_max(most);
  int argmax = ids;
  GPU_UNROLL
  for (int i = kSpans - 1; i >= 0; --i) {
    const int id = i * kVocabSpan + lane();
    if (x[i] == max && id < ids) argmax = id;
    weights[i] = id < ids ? exp(x[i] - max) : 0.0f;
    moments[i] = id < ids ? (x[i] - max) * weights[i] : 0.0f;
    if (id < ids) z[id] = weights[i];
  }
  argmax = warp_min(argmax);
  return {max, tile_sum(weights), tile_sum(moments), argmax < ids ? argmax : 0};
}

GPU_DEVICE noise::NoiseAddress address(const Segment& segment, int row, noise::Purpose purpose,
                                       int64_t first_id, int tile) {
  return {segment.key, static_cast<uint32_t>(row - segment.row_begin), purpose,
          static_cast<uint32_t>(first_id / kVocabTile + tile)};
}

// Picks an id within a tile by inverse CDF, as the reference does.
GPU_DEVICE int pick(const float* weights, int ids, double u) {
  double total = 0;
  for (int j = 0; j < ids; ++j) total += weights[j];
  const double target = u * total;
  double sum = 0;
  int last = 0;
  for (int j = 0; j < ids; ++j) {
    if (weights[j] == 0.0f) continue;
    sum += weights[j];
    last = j;
    if (sum > target) break;
  }
  return last;
}

GPU_DEVICE void merge_tile(const TileSums& tile, VocabPartial& row) {
  const float max = tile.max > row.max ? tile.max : row.max;
  const float keep = exp(row.max - max), add = exp(tile.max - max);
  if (tile.max > row.max) row.argmax = tile.argmax;
  const float before = row.mass == 0.0f ? 0.0f : row.moment + (row.max - max) * row.mass;
  row.moment = before * keep + (tile.moment + (tile.max - max) * tile.mass) * add;
  row.mass = row.mass * keep + tile.mass * add;
  row.max = max;
}

// Lets the tiles race in order; the winner, if it beats what was before, picks its id.
GPU_DEVICE void race_tiles(const VocabFold& a, const Segment& segment, const float* weights,
                           const Shared& s, VocabPartial& row) {
  int winner = -1;
  for (int tile = 0; tile < a.chunk.tiles(); ++tile)
    if (s.races[tile] < row.race) {
      row.race = s.races[tile];
      winner = tile;
    }
  if (winner < 0) return;
  const int begin = winner * kVocabTile, rest = a.chunk.ids - begin;
  const double u =
      noise::uniform(address(segment, block_x(), noise::Purpose::pick, a.chunk.first_id, winner));
  row.sample = static_cast<int32_t>(a.chunk.first_id) + begin +
               pick(weights + begin, rest < kVocabTile ? rest : kVocabTile, u);
}

// A warp turns a tile's weights into those for the row's max; subnormal ones become 0.
GPU_DEVICE void scale_tile(const VocabFold& a, int tile, float* weights, const Shared& s) {
  const float factor = exp(s.tiles[tile].max - s.row.max), share = a.least_share * s.row.mass;
  const float least = share > 0x1p-126f ? share : 0x1p-126f;
  uint32_t used = 0;
  GPU_UNROLL
  for (int i = 0; i < kSpans; ++i) {
    const int id = i * kVocabSpan + lane();
    float weight = 0;
    if (tile * kVocabTile + id < a.chunk.ids) {
      weight = weights[id] * factor;
      if (weight < least) weight = 0;
      weights[id] = weight;
    }
    if (ballot(weight != 0.0f)) used |= 1u << i;
  }
  if (lane() == 0) a.used[int64_t{block_x()} * a.chunk.tiles() + tile] = static_cast<uint8_t>(used);
}

GPU_KERNEL(vocab_fold, VocabFold, kThreads) {
  GPU_SHARED(Shared, s, );
  const int row = block_x(), tiles = a.chunk.tiles();
  float* z = a.z + int64_t{row} * a.chunk.ids;
  const Segment* segment = a.params ? segment_of(*a.params, row) : nullptr;
  for (int tile = warp(); tile < tiles; tile += kWarps) {
    const int begin = tile * kVocabTile, rest = a.chunk.ids - begin;
    TileSums sums = reduce_tile(z + begin, rest < kVocabTile ? rest : kVocabTile,
                                segment ? segment->inverse_temperature : 1.0f);
    sums.argmax += static_cast<int32_t>(a.chunk.first_id) + begin;
    if (lane() == 0) s.tiles[tile] = sums;
  }
  barrier();
  if (segment && thread() < tiles) {
    const TileSums& tile = s.tiles[thread()];
    const double u =
        noise::uniform(address(*segment, row, noise::Purpose::tile, a.chunk.first_id, thread()));
    s.races[thread()] = log(-log(u)) - (log(static_cast<double>(tile.mass)) + tile.max);
  }
  barrier();
  if (thread() == 0) {
    VocabPartial partial = {kLeast, 0, 0, 0, double_of(uint64_t{0x7ff} << 52), 0};
    if (a.chunk.first_id > 0) partial = a.partial[row];
    const float before = partial.max;
    for (int tile = 0; tile < tiles; ++tile) merge_tile(s.tiles[tile], partial);
    if (segment) race_tiles(a, *segment, z, s, partial);
    s.row = a.partial[row] = partial;
    a.keep[row] = exp(before - partial.max);
  }
  barrier();
  for (int tile = warp(); tile < tiles; tile += kWarps)
    scale_tile(a, tile, z + tile * kVocabTile, s);
}

}  // namespace potluck::gpu::vocab_folding
