// Attention in tiles of keys with an online softmax. A task takes one KV head and a block of rows
// whose query heads share it; K, V and the weights are bf16, q two terms of it (scores are not
// scaled: with one term the golden model of 4 bits loses 1.3 times what the reference loses in
// bf16, so 0.9); softmax and sums are f32.
//
// Tiles lie at fixed positions of the session (256·i), not of the chunk, and a key that a row does
// not see weighs exactly nothing: so chunks, batches and threads change no bit.
#include "kernels/cpu/fast/attention.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/cpu/fast/fast_math.h"
#include "kernels/cpu/machine/arena.h"
#include "kernels/cpu/packed/choose.h"
#include "kernels/cpu/reference/attention_keys.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/lanes.h"
#include "kernels/cpu/reference/reduce.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kQueries = 256;  // query vectors that share a packed tile
constexpr int64_t kTile = 256;     // keys: 256 KB of K and of V at head size 512

int64_t heads_per_kv(const AttentionShape& shape) {
  return shape.heads / shape.kv_heads;
}

int64_t rows_per_block(const AttentionShape& shape) {
  return std::max<int64_t>(1, kQueries / heads_per_kv(shape));
}

struct Products {
  const PackedProduct& scores;   // of q and K, fine
  const PackedProduct& weights;  // of weights and V
};

Products products_of(Isa isa) {
  return {packed_product(isa, DType::bf16, Use::fine), packed_product(isa, DType::bf16)};
}

// One task's buffers; M = vectors of a block, D = head_dim.
struct Scratch {
  PackedRows queries, weights;  // [M]
  float *scores, *sums;         // [M, kTile], [M, D]
  float *most, *mass, *keep;    // [M]
  uint16_t* rows;               // [kTile, D] of K or V, bf16
  float* sizes;                 // [kTile]: the factors that rows of V were divided by
  std::byte* panel;
};

Scratch take_scratch(const Products& products, const AttentionShape& shape, Arena& arena) {
  const int64_t vectors = rows_per_block(shape) * heads_per_kv(shape);
  const size_t m = vectors;
  const auto dim = static_cast<size_t>(shape.head_dim);
  Scratch s;
  s.queries = take_rows(products.scores, shape.head_dim, vectors, arena);
  s.weights = take_rows(products.weights, kTile, vectors, arena);
  s.scores = arena.take<float>(m * kTile);
  s.sums = arena.take<float>(m * dim);
  s.most = arena.take<float>(m);
  s.mass = arena.take<float>(m);
  s.keep = arena.take<float>(m);
  s.rows = arena.take<uint16_t>(kTile * dim);
  s.sizes = arena.take<float>(kTile);
  s.panel = arena.take<std::byte>(
      std::max(products.scores.panel_bytes(shape.head_dim), products.weights.panel_bytes(kTile)));
  return s;
}

// Keys [begin, end) of a tile, those that any row of the block sees: from the ring (`first` is the
// position of the tile's key 0) or of the canvas.
struct Tile {
  bool fresh;
  int64_t first, begin, end;

  // Whole panels of them are multiplied. The other keys weigh nothing, and add it.
  int64_t low() const { return begin / kPanelRows * kPanelRows; }
  int64_t high() const { return panel_count(end) * kPanelRows; }
};

struct Block {
  Isa isa;
  const Products& products;
  const AttentionShape& shape;
  const AttentionSegment& segment;
  int64_t row_begin, row_end, kv_head;
  const Scratch& s;

  int64_t per_kv() const { return heads_per_kv(shape); }
  int64_t vectors() const { return (row_end - row_begin) * per_kv(); }
  int64_t offset(int64_t t) const {
    return (t * shape.heads + kv_head * per_kv()) * shape.head_dim;
  }
};

// s.rows[j, :] = K or V of the tile's key j in bf16, zeros where none, j in [low, high).
void load_rows(const Block& b, const Tile& tile, const KvView& from, const void* values) {
  const int64_t dim = b.shape.head_dim;
  const size_t bytes = row_bytes(b.shape.kv_type, dim);
  std::fill(b.s.rows + tile.low() * dim, b.s.rows + tile.begin * dim, uint16_t{0});
  std::fill(b.s.rows + tile.end * dim, b.s.rows + tile.high() * dim, uint16_t{0});
  for (int64_t j = tile.begin; j < tile.end; ++j) {
    const int64_t row = (tile.first + j) % from.capacity;
    const auto slot = row * b.shape.kv_heads + b.kv_head;
    const std::byte* at = static_cast<const std::byte*>(values) + slot * bytes;
    dequantize_bf16(b.isa, b.shape.kv_type, at, dim, b.s.rows + j * dim);
  }
}

// scores[m, j] = q_m · k_j for the tile's keys, by panels of 32.
void score(const Block& b, const Tile& tile) {
  const int64_t dim = b.shape.head_dim;
  for (int64_t first = tile.low(); first < tile.end; first += kPanelRows) {
    b.products.scores.pack_panel({DType::bf16, b.s.rows + first * dim, kPanelRows, dim}, b.s.panel);
    b.products.scores.multiply(
        {b.s.queries, b.vectors(), b.s.panel, dim, b.s.scores + first, kTile, kPanelRows});
  }
}

// x = x · 2^k in bf16, k = −exponent of the greatest |x|: all are within ±1, and exact but for
// those under 2⁻¹¹⁸ of the greatest. Returns 2^−k.
POTLUCK_CLONES float level_row(uint16_t* x, int64_t n) {
  int most = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, x[i] & 0x7fff);
  const int down = (most >> 7) - 126;  // the greatest lies in [½, 1)
  for (int64_t i = 0; i < n; ++i) {
    const int exponent = ((x[i] >> 7) & 0xff) - down;
    const int bits = (x[i] & 0x807f) | (exponent << 7);
    x[i] = exponent > 0 ? bits : 0;
  }
  return std::bit_cast<float>((down + 127) << 23);
}

// Loads V's rows of the tile, levelled where they are multiplied as integers.
void load_values(const Block& b, const Tile& tile, const KvView& from) {
  load_rows(b, tile, from, from.v);
  if (b.products.weights.numbers != Numbers::integers) return;
  std::fill(b.s.sizes, b.s.sizes + kTile, 1.0f);
  for (int64_t j = tile.begin; j < tile.end; ++j)
    b.s.sizes[j] = level_row(b.s.rows + j * b.shape.head_dim, b.shape.head_dim);
}

// Takes the online softmax of the tile's scores of one query vector, which sees keys [begin, end)
// of it: writes its weights and the factor `keep` for its sums so far. The mass is that of the
// weights as rounded.
void softmax_row(const Block& b, const Tile& tile, int64_t m, int64_t begin, int64_t end) {
  const int64_t low = tile.low(), high = tile.high(), n = high - low;
  float* scores = b.s.scores + m * kTile;
  if (begin >= end) {
    std::fill(scores + low, scores + high, 0.0f);
    b.s.keep[m] = 1.0f;
  } else {
    const float before = b.s.most[m], most = std::max(before, max_of(scores + begin, end - begin));
    b.s.keep[m] = most == before ? 1.0f : exact_exp(before - most);
    b.s.most[m] = most;
    fast_exps(scores + begin, end - begin, most);
    std::fill(scores + low, scores + begin, 0.0f);
    std::fill(scores + end, scores + high, 0.0f);
    if (b.products.weights.numbers == Numbers::bf16) round_to(DType::bf16, scores + low, n);
    b.s.mass[m] = b.s.mass[m] * b.s.keep[m] + sum_of(scores + low, n);
    if (b.products.weights.numbers == Numbers::integers)
      for (int64_t j = low; j < high; ++j) scores[j] *= b.s.sizes[j];
  }
  b.products.weights.pack_row(scores + low, n, b.s.weights[m]);
}

void softmax_rows(const Block& b, const Tile& tile) {
  for (int64_t t = b.row_begin; t < b.row_end; ++t) {
    const Visible own = visible_keys(b.segment, t, b.shape.window);
    const int64_t begin = tile.fresh ? 0 : std::max(tile.begin, own.first - tile.first);
    const int64_t end = tile.fresh ? tile.end : std::min(tile.end, own.last - tile.first);
    for (int64_t h = 0; h < b.per_kv(); ++h)
      softmax_row(b, tile, (t - b.row_begin) * b.per_kv() + h, begin, end);
  }
}

// sums[m, :] = keep[m] · sums[m, :] + Σ_j weight[m, j] · v_j, by panels of 32 columns.
void add_values(const Block& b, const Tile& tile) {
  const int64_t dim = b.shape.head_dim, terms = tile.high() - tile.low();
  const uint16_t* rows = b.s.rows + tile.low() * dim;
  for (int64_t first = 0; first < dim; first += kPanelRows) {
    const int64_t count = std::min(kPanelRows, dim - first);
    pack_value_panel(b.isa, {rows + first, dim, terms, count, 1.0f}, b.s.panel);
    b.products.weights.multiply(
        {b.s.weights, b.vectors(), b.s.panel, terms, b.s.sums + first, dim, count, b.s.keep});
  }
}

void run_tile(const Block& b, const Tile& tile) {
  const KvView& from = tile.fresh ? b.segment.fresh : b.segment.cache;
  load_rows(b, tile, from, from.k);
  score(b, tile);
  load_values(b, tile, from);
  softmax_rows(b, tile);
  add_values(b, tile);
}

void start(const Block& b) {
  const int64_t dim = b.shape.head_dim;
  for (int64_t m = 0; m < b.vectors(); ++m) {
    const float* from = b.segment.q + b.offset(b.row_begin + m / b.per_kv()) + m % b.per_kv() * dim;
    b.products.scores.pack_row(from, dim, b.s.queries[m]);
    b.s.most[m] = std::numeric_limits<float>::lowest();
    b.s.mass[m] = 0;
  }
  std::fill(b.s.sums, b.s.sums + b.vectors() * dim, 0.0f);
}

void finish(const Block& b) {
  const int64_t dim = b.shape.head_dim;
  for (int64_t m = 0; m < b.vectors(); ++m) {
    float* to = b.segment.out + b.offset(b.row_begin + m / b.per_kv()) + m % b.per_kv() * dim;
    const float inverse = 1.0f / b.s.mass[m];
    for (int64_t j = 0; j < dim; ++j) to[j] = b.s.sums[m * dim + j] * inverse;
  }
}

void run_block(const Block& b) {
  const Visible first = visible_keys(b.segment, b.row_begin, b.shape.window);
  const Visible last = visible_keys(b.segment, b.row_end - 1, b.shape.window);
  start(b);
  for (int64_t at = first.first / kTile * kTile; at < last.last; at += kTile)
    run_tile(b,
             {false, at, std::max<int64_t>(0, first.first - at), std::min(kTile, last.last - at)});
  for (int64_t at = 0; at < last.fresh; at += kTile)
    run_tile(b, {true, at, 0, std::min(kTile, last.fresh - at)});
  finish(b);
}

}  // namespace

size_t fast_attention_scratch(Isa isa, const AttentionShape& shape) {
  Arena arena(nullptr);
  take_scratch(products_of(isa), shape, arena);
  return arena.used();
}

void fast_attention(Isa isa, const AttentionShape& shape, const AttentionSegment& segment,
                    void* scratch, ThreadPool& pool) {
  const Products products = products_of(isa);
  const int64_t rows = rows_per_block(shape), blocks = (segment.rows + rows - 1) / rows;
  const size_t bytes = fast_attention_scratch(isa, shape);
  pool.for_each(blocks * shape.kv_heads, [&](int64_t task, int thread) {
    Arena arena(static_cast<std::byte*>(scratch) + thread * bytes);
    const Scratch s = take_scratch(products, shape, arena);
    const int64_t begin = task / shape.kv_heads * rows;
    const Block b{isa,
                  products,
                  shape,
                  segment,
                  begin,
                  std::min(segment.rows, begin + rows),
                  task % shape.kv_heads,
                  s};
    run_block(b);
  });
}

}  // namespace potluck::cpu
