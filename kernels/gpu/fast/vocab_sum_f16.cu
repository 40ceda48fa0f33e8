// A block sums 128 rows and 128 columns in f16, a span of 32 ids at a time: a warp 32 rows and 64
// columns. While warps multiply, the next span is under way in registers. It reads no span that
// weighs nothing in all of its rows.
//
// A lane finds what it needs for two products in 16 consecutive bytes. Cards without matrix units
// sum in f32 (vocab_sum_tile.h).
#include "kernels/gpu/exact/vocab_sum_tile.h"

namespace potluck::gpu::mma_vocab_sum {

constexpr int kThreads = 256;
constexpr int kRows = kVocabSumF16Rows, kColumns = kVocabSumF16Columns;
constexpr int kTilesMost = kVocabChunkMost / kVocabTile;
constexpr int kWarpRows = 32, kWarpColumns = 64;
constexpr int kWords = kRows * kVocabSpan / 2;  // of a span's weights, and of its part of E
// Weights are 1 at most: so scaled, few of those that count are too small for f16.
constexpr float kScale = 0x1p14f;

struct Shared {
  alignas(16) uint32_t weights[2][kWords];
  alignas(16) uint32_t e[2][kWords];
  uint8_t used[kTilesMost];
};

// A thread brings this of a span: weights of two ids for 8 rows, and 8 columns of E of two ids.
struct Span {
  uint32_t weights[8], e[8];
};

using Sums = float[kWarpRows / kMmaRows][kWarpColumns / kMmaColumns][kMmaSums];

GPU_DEVICE float weight_at(const VocabSum& a, int row, int id) {
  if (row >= a.rows || id >= a.chunk.ids) return 0;
  return a.weights[int64_t{row} * a.chunk.ids + id] * kScale;
}

// Opens 8 columns of an id of the chunk; zeros behind the last id.
GPU_DEVICE void open(const VocabSum& a, int id, int64_t column, float (&values)[8]) {
  if (id < a.chunk.ids)
    return open_run(a.table.type, a.table.blocks + (a.chunk.first_id + id) * a.table.row_bytes,
                    column, a.table.columns, values);
  for (float& value : values) value = 0;
}

// Ids 2·pair and 2·pair + 1 of the span are this thread's.
GPU_DEVICE int own_pair() {
  return thread() % 16;
}

GPU_DEVICE Span fetch(const VocabSum& a, int first) {
  const int id = first + own_pair() * 2, row = block_y() * kRows + thread() / 16;
  Span span;
  GPU_UNROLL
  for (int i = 0; i < 8; ++i)
    span.weights[i] = pack_f16(weight_at(a, row + i * 16, id), weight_at(a, row + i * 16, id + 1));
  const int64_t column = opaque(int64_t{block_x()} * kColumns + thread() / 16 * 8);
  float even[8], odd[8];
  open(a, id, column, even);
  open(a, id + 1, column, odd);
  GPU_UNROLL
  for (int i = 0; i < 8; ++i) span.e[i] = pack_f16(even[i], odd[i]);
  return span;
}

// Where the word of a row, or of a column of E, and of a pair of ids lies where lanes mirror: 16
// words of a row follow one another, four in a lane's order. Rows and chunks change places so that
// the lanes that store or load together reach as many banks as there can be.
GPU_DEVICE int mirrored_chunk(int row, int chunk) {
  return (row ^ row / 8 % 2) * 4 + (chunk ^ row / 2 % 4);
}
GPU_DEVICE int mirrored_word(int row, int pair) {
  return mirrored_chunk(row, pair / 4) * 4 + pair % 4;
}

// Where it lies elsewhere. Pair 8·step + 4·half + t of 16 rows is in fragment `step`, with lanes
// 4·g + t; row g + 8 comes behind row g. Of E's column, pair 4·i + t is word 4·t + i.
GPU_DEVICE int weight_word(int row, int pair) {
  if (kMmaMirrors) return mirrored_word(row, pair);
  const int lane_word = (row % 8 * 4 + pair % 4) * 4 + pair / 4 % 2 * 2 + row / 8 % 2;
  return (row / 16 * 2 + pair / 8) * 128 + lane_word;
}
GPU_DEVICE int e_word(int column, int pair) {
  if (kMmaMirrors) return mirrored_word(column, pair);
  return column * 16 + pair % 4 * 4 + pair / 4;
}

GPU_DEVICE void put(const Span& span, uint32_t* weights, uint32_t* e) {
  const int pair = own_pair(), own = thread() / 16;
  GPU_UNROLL
  for (int i = 0; i < 8; ++i) {
    weights[weight_word(own + i * 16, pair)] = span.weights[i];
    e[e_word(own * 8 + i, pair)] = span.e[i];
  }
}

GPU_DEVICE Words4 words_at(const uint32_t* words) {
  return *as<const Words4>(words);
}

template <typename OfSums>
GPU_DEVICE void add_by_mma(const uint32_t* weights, const uint32_t* e, OfSums& sums) {
  const int sixteen = warp() / 2 * 2, eight = warp() % 2 * 8;
  Words4 a[2][2];
  GPU_UNROLL
  for (int i = 0; i < 4; ++i)
    a[i / 2][i % 2] = words_at(weights + ((sixteen + i / 2) * 2 + i % 2) * 128 + lane() * 4);
  GPU_UNROLL
  for (int n = 0; n < kWarpColumns / 8; ++n) {
    const Words4 b = words_at(e + (eight + n) * 128 + lane() * 4);
    GPU_UNROLL
    for (int m = 0; m < 2; ++m) {
      mma_f16(sums[m][n], a[m][0].word, {b.word[0], b.word[1]});
      mma_f16(sums[m][n], a[m][1].word, {b.word[2], b.word[3]});
    }
  }
}

// The 16 ids from 16·half on, of this lane's row of the 16 from `first` on.
GPU_DEVICE void load_mirrored(const uint32_t* words, int first, int half, uint32_t (&to)[8]) {
  const int row = first + lane() % 16;
  GPU_UNROLL
  for (int i = 0; i < 2; ++i) {
    const Words4 chunk = words_at(words + mirrored_chunk(row, half * 2 + i) * 4);
    GPU_UNROLL
    for (int w = 0; w < 4; ++w) to[i * 4 + w] = chunk.word[w];
  }
}

template <typename OfSums>
GPU_DEVICE void add_by_wmma(const uint32_t* weights, const uint32_t* e, OfSums& sums) {
  GPU_UNROLL
  for (int half = 0; half < 2; ++half) {
    uint32_t a[2][8];
    GPU_UNROLL
    for (int m = 0; m < 2; ++m) load_mirrored(weights, warp() / 2 * kWarpRows + m * 16, half, a[m]);
    GPU_UNROLL
    for (int n = 0; n < kWarpColumns / 16; ++n) {
      uint32_t b[8];
      load_mirrored(e, warp() % 2 * kWarpColumns + n * 16, half, b);
      GPU_UNROLL
      for (int m = 0; m < 2; ++m) mma_f16(sums[m][n], a[m], b);
    }
  }
}

GPU_DEVICE void store(const VocabSum& a, const Sums& sums) {
  constexpr int kOfRow = kWarpColumns / kMmaColumns * kMmaSums;
  GPU_UNROLL
  for (int s = 0; s < kWarpRows / kMmaRows * kOfRow; ++s) {
    const int m = s / kOfRow, n = s / kMmaSums % (kWarpColumns / kMmaColumns), at = s % kMmaSums;
    const int row = block_y() * kRows + warp() / 2 * kWarpRows + m * 16 + mma_c_row(lane(), at);
    const int64_t column = int64_t{block_x()} * kColumns + warp() % 2 * kWarpColumns +
                           n * kMmaColumns + mma_c_column(lane(), at);
    if (row >= a.rows || column >= a.table.columns) continue;
    float& soft = a.soft[row * a.table.columns + column];
    soft = (a.chunk.first_id > 0 ? soft * a.keep[row] : 0.0f) + sums[m][n][at] / kScale;
  }
}

GPU_DEVICE void collect_used(const VocabSum& a, Shared& s) {
  const int tiles = a.chunk.tiles(), first_row = block_y() * kRows;
  if (thread() < tiles) {
    uint32_t used = 0;
    for (int row = first_row; row < first_row + kRows && row < a.rows; ++row)
      used |= a.used[int64_t{row} * tiles + thread()];
    s.used[thread()] = static_cast<uint8_t>(used);
  }
  barrier();
}

// Returns where the first span that is used begins, from id `first` of the chunk on.
GPU_DEVICE int next_used(const VocabSum& a, const Shared& s, int first) {
  while (first < a.chunk.ids &&
         !(s.used[first / kVocabTile] >> first % kVocabTile / kVocabSpan & 1))
    first += kVocabSpan;
  return first;
}

template <bool kMma, bool kMirrors>
GPU_DEVICE void run(const VocabSum& a) {
  if constexpr (kMma) {
    GPU_SHARED(Shared, s, );
    collect_used(a, s);
    Sums sums = {};
    int buffer = 0, first = next_used(a, s, 0);
    Span next;
    if (first < a.chunk.ids) next = fetch(a, first);
    for (; first < a.chunk.ids; buffer ^= 1) {
      put(next, s.weights[buffer], s.e[buffer]);
      barrier();
      first = next_used(a, s, first + kVocabSpan);
      if (first < a.chunk.ids) next = fetch(a, first);
      if constexpr (kMirrors)
        add_by_wmma(s.weights[buffer], s.e[buffer], sums);
      else
        add_by_mma(s.weights[buffer], s.e[buffer], sums);
    }
    store(a, sums);
  } else {
    GPU_SHARED(vocab_summing::Shared, s, );
    for (int i = 0; i < 4; ++i) {
      const int row = block_y() * kRows + i / 2 * kVocabSumRows;
      const int64_t column = int64_t{block_x()} * kColumns + i % 2 * kVocabSumColumns;
      barrier();
      vocab_summing::sum_tile(a, row, column, s);
    }
  }
}

GPU_KERNEL_OF_BLOCKS(vocab_sum_f16, VocabSumF16, kThreads, 1) {
  run<kHasMma, kMmaMirrors>(a);
}

}  // namespace potluck::gpu::mma_vocab_sum
