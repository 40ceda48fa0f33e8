// A block takes the queries of some rows and of all query heads that share a KV head, 16 a group of
// warps, over tiles of 32 keys, by online softmax. Tiles begin at multiples of 32 of the key's
// position, as in attention.cu, and for the same reason.
//
// K and V come through shared memory in slices of 128 columns: those of a tile's K, then those of
// its V. While warps compute on one slice, the next is under way in registers. Both are stored so
// that a lane finds what it needs for two products in 16 consecutive bytes:
// - a row of K has chunks of 8 values; lane t of four takes chunk t of each 32 columns, so that the
//   products' order of terms is its own, the same in q and K;
// - of V two keys that follow one another share a word; a column's 16 words lie in the order in
//   which the four lanes take them.
//
// Heads over 256 have two warps to a group: both take its scores, each sums half of V's columns.
//
// Fragments are those that do not mirror (gpu.h). Cards with others or without matrix units attend
// in f32 (attention_tile.h).
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/segments.h"
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/attention_tile.h"

namespace potluck::gpu::mma_attention {

constexpr int kThreads = 128;
constexpr int kKeys = 32;    // of a tile
constexpr int kSlice = 128;  // columns
constexpr int kPieces = 4;   // of 8 values that a thread brings of each slice
constexpr int kQueryWords = 64 * 256 / 2;
constexpr int kSliceWords = kKeys * kSlice / 2;
constexpr float kLeast = -1e30f;

struct Shared {
  alignas(16) uint32_t q[kQueryWords];  // fragments of 16 × 16: a lane's four words together
  alignas(16) uint32_t slices[2][kSliceWords];
};

struct Range {
  int first, last;  // half-open
};

// Rows of K and V that are keys: key i lies in row begin + i mod capacity.
struct Source {
  KvRows rows;
  int64_t begin;
  uint32_t capacity;
};

// Eight values of f16, two a word.
struct alignas(16) Piece {
  uint32_t words[4];
};

// A thread holds the softmax of two queries and, of their outputs, 2 columns of every 8 of its
// warp's.
template <Stored kOf, int kSlices, int kSplit>
struct Block {
  int query[2];  // within the block
  float max[2], mass[2];
  float out[kSlices][kSlice / 8 / kSplit][4];
  Piece next[kPieces];
};

// A block's place in the pass.
struct Place {
  int first_row, rows, kv_head, group;  // rows of the block; query heads of the KV head
};

GPU_DEVICE uint32_t pack(float low, float high) {
  return float_to_f16(low) | uint32_t{float_to_f16(high)} << 16;
}

// Values [column, column + 8) of the head that begins at `from + at`; zeros behind its end.
GPU_DEVICE Piece load_piece(const void* from, int64_t at, int column, int head_dim) {
  if (column >= head_dim) return {};
  return *as<const Piece>(as<const uint16_t>(from) + at + column);
}

// Turns a piece as it was stored into f16.
template <Stored kType>
GPU_DEVICE Piece as_f16(Piece piece) {
  if constexpr (kType == Stored::bf16)
    for (uint32_t& word : piece.words)
      word = pack(float_of(word << 16), float_of(word & 0xffff0000u));
  return piece;
}

// The key and the first column of piece i of this thread's. Of K a warp brings whole rows. Of V a
// thread brings the same columns of two keys, whose values will share words.
GPU_DEVICE int piece_key(bool values, int i) {
  return values ? thread() % 16 * 2 + i % 2 : i * 8 + thread() / 16;
}
GPU_DEVICE int piece_column(bool values, int i) {
  return (values ? thread() / 16 + i / 2 * 8 : thread() % 16) * 8;
}

// Brings this thread's pieces of a slice of the tile from key `tile` on; keys that no row sees are
// zeros.
GPU_DEVICE void fetch(const Attention& a, const Source& source, int kv_head, bool values, int tile,
                      Range all, int slice, Piece (&next)[kPieces]) {
  GPU_UNROLL
  for (int i = 0; i < kPieces; ++i) {
    const int key = tile + piece_key(values, i);
    next[i] = {};
    if (key < all.first || key >= all.last) continue;
    const int64_t row = source.begin + static_cast<uint32_t>(key) % source.capacity;
    next[i] = load_piece(values ? source.rows.v : source.rows.k,
                         (row * a.kv_heads + kv_head) * a.head_dim,
                         slice * kSlice + piece_column(values, i), a.head_dim);
  }
}

// Where chunk c of a key's slice of K begins. Odd rows change places within the banks.
GPU_DEVICE int key_chunk(int key, int c) {
  return (key * (kSlice / 8) + (c ^ key % 2 * 4)) * 4;
}

template <Stored kType>
GPU_DEVICE void store_keys(const Piece (&pieces)[kPieces], uint32_t* slice) {
  GPU_UNROLL
  for (int i = 0; i < kPieces; ++i)
    *as<Piece>(slice + key_chunk(piece_key(false, i), piece_column(false, i) / 8)) =
        as_f16<kType>(pieces[i]);
}

// Keys 2·p and 2·p + 1 share word 4·(p % 4) + p / 4 of their column's.
template <Stored kType>
GPU_DEVICE void store_values(const Piece (&pieces)[kPieces], uint32_t* slice) {
  const int pair = thread() % 16, word = pair % 4 * 4 + pair / 4;
  GPU_UNROLL
  for (int i = 0; i < kPieces; i += 2) {
    const int column = piece_column(true, i);
    const Piece first = as_f16<kType>(pieces[i]), second = as_f16<kType>(pieces[i + 1]);
    GPU_UNROLL
    for (int j = 0; j < 4; ++j) {
      const uint32_t even = first.words[j], odd = second.words[j];
      slice[(column + 2 * j) * 16 + word] = (even & 0xffffu) | odd << 16;
      slice[(column + 2 * j + 1) * 16 + word] = even >> 16 | (odd & 0xffff0000u);
    }
  }
}

GPU_DEVICE Piece piece_at(const uint32_t* words) {
  return *as<const Piece>(words);
}

// scores += q·Kᵀ over 32 columns, whose two fragments of q begin at `q`; tile n of the scores is
// that of keys [8·n, 8·n + 8).
template <int kTiles>
GPU_DEVICE void add_step_scores(const uint32_t* q, const uint32_t* keys, int step,
                                float (&scores)[kTiles][4]) {
  const Piece low = piece_at(q + lane() * 4), high = piece_at(q + (32 + lane()) * 4);
  GPU_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    const Piece k = piece_at(keys + key_chunk(n * 8 + lane() / 4, step * 4 + lane() % 4));
    mma_f16(scores[n], low.words, {k.words[0], k.words[1]});
    mma_f16(scores[n], high.words, {k.words[2], k.words[3]});
  }
}

// The same over the columns of a slice.
template <int kTiles>
GPU_DEVICE void add_scores(const uint32_t* q, const uint32_t* keys, float (&scores)[kTiles][4]) {
  GPU_UNROLL
  for (int step = 0; step < kSlice / 32; ++step)
    add_step_scores(q + step * 256, keys, step, scores);
}

// Turns scores into weights of f16 for the maxima so far, of keys that the queries see; weights[j]
// is the fragment of keys [16·j, 16·j + 16).
template <typename Block>
GPU_DEVICE void weigh(Block& b, int tile, const Range (&sees)[2], float (&scores)[kKeys / 8][4],
                      uint32_t (&weights)[kKeys / 16][4]) {
  float keep[2];
  GPU_UNROLL
  for (int r = 0; r < 2; ++r) {
    float most = b.max[r];
    GPU_UNROLL
    for (int i = 0; i < kKeys / 4; ++i) {
      const int key = tile + i / 2 * 8 + lane() % 4 * 2 + i % 2;
      float& score = scores[i / 2][2 * r + i % 2];
      if (key < sees[r].first || key >= sees[r].last) score = kLeast;
      most = score > most ? score : most;
    }
    GPU_UNROLL
    for (int mask = 1; mask < 4; mask *= 2) {
      const float other = shuffle_xor(most, mask);
      most = other > most ? other : most;
    }
    keep[r] = fast_exp2((b.max[r] - most) * kLog2E);
    b.max[r] = most;
    b.mass[r] *= keep[r];
    GPU_UNROLL
    for (int n = 0; n < kKeys / 8; ++n) {
      const float* pair = &scores[n][2 * r];
      const uint32_t word = pack(pair[0] > kLeast ? fast_exp2((pair[0] - most) * kLog2E) : 0.0f,
                                 pair[1] > kLeast ? fast_exp2((pair[1] - most) * kLog2E) : 0.0f);
      weights[n / 2][n % 2 * 2 + r] = word;
      b.mass[r] += f16_to_float(word & 0xffff) + f16_to_float(word >> 16);
    }
  }
  if (!ballot(keep[0] != 1.0f || keep[1] != 1.0f)) return;
  for (auto& slice : b.out)
    for (float(&out)[4] : slice)
      for (int i = 0; i < 4; ++i) out[i] *= keep[i / 2];
}

// out += weights · V over a slice, whose columns of this warp begin at `values`.
template <int kTiles>
GPU_DEVICE void add_values(const uint32_t (&weights)[kKeys / 16][4], const uint32_t* values,
                           float (&out)[kTiles][4]) {
  GPU_UNROLL
  for (int n = 0; n < kTiles; ++n) {
    const Piece v = piece_at(values + (n * 32 + lane()) * 4);
    mma_f16(out[n], weights[0], {v.words[0], v.words[1]});
    mma_f16(out[n], weights[1], {v.words[2], v.words[3]});
  }
}

// Attends to keys [all.first, all.last); the thread's queries see those of sees[r].
template <Stored kType, int kSlices, int kSplit>
GPU_DEVICE void attend(const Attention& a, const Source& source, int kv_head, Range all,
                       const Range (&sees)[2], Shared& s, Block<kType, kSlices, kSplit>& b) {
  constexpr int kTiles = kSlice / 8 / kSplit;
  if (all.first >= all.last) return;
  const uint32_t* q = s.q + warp() / kSplit * kSlices * kSlice / 16 * 128;  // of the warp's group
  int tile = all.first / kKeys * kKeys;
  fetch(a, source, kv_head, false, tile, all, 0, b.next);
  for (; tile < all.last; tile += kKeys) {
    float scores[kKeys / 8][4] = {};
    GPU_UNROLL
    for (int i = 0; i < kSlices; ++i) {
      store_keys<kType>(b.next, s.slices[i % 2]);
      barrier();
      const bool last = i + 1 == kSlices;
      fetch(a, source, kv_head, last, tile, all, last ? 0 : i + 1, b.next);
      add_scores(q + i * kSlice / 16 * 128, s.slices[i % 2], scores);
    }
    uint32_t weights[kKeys / 16][4];
    weigh(b, tile, sees, scores, weights);
    GPU_UNROLL
    for (int i = 0; i < kSlices; ++i) {
      store_values<kType>(b.next, s.slices[i % 2]);
      barrier();
      const bool last = i + 1 == kSlices;
      fetch(a, source, kv_head, !last, last ? tile + kKeys : tile, all, last ? 0 : i + 1, b.next);
      add_values(weights, s.slices[i % 2] + warp() % kSplit * kTiles * 128, b.out[i]);
    }
  }
}

// Loads the block's queries as fragments: lane 4·g + t has of rows g and g + 8, in turn, the values
// 8·t … 8·t + 3 of each 32 in one step and 8·t + 4 … 8·t + 7 in the next.
template <int kSteps>
GPU_DEVICE void load_queries(const Attention& a, const Place& place, Shared& s) {
  for (int i = thread(); i < kQueryWords; i += kThreads) {
    const int word = i % 4, to = i / 4 % 32, step = i / 128 % kSteps, sixteen = i / 128 / kSteps;
    const int query = sixteen * 16 + to / 4 + word % 2 * 8;
    const int column = step / 2 * 32 + to % 4 * 8 + step % 2 * 4 + word / 2 * 2;
    const int row = place.first_row + query / place.group;
    const bool real = query / place.group < place.rows && row < a.params->rows;
    const float* q =
        a.q +
        (int64_t{row} * a.heads + place.kv_head * place.group + query % place.group) * a.head_dim;
    s.q[i] = pack(real && column < a.head_dim ? q[column] : 0.0f,
                  real && column + 1 < a.head_dim ? q[column + 1] : 0.0f);
  }
  barrier();
}

// Attends with the rows of a segment that lie in the block: to the keys in its session's ring, then
// to those of its canvas.
template <typename Block>
GPU_DEVICE void attend_segment(const Attention& a, const Place& place, const Segment& segment,
                               Shared& s, Block& b) {
  const int from = place.first_row - segment.row_begin, to = from + place.rows;
  const int begin = from > 0 ? from : 0, end = to < segment.rows ? to : segment.rows;
  if (begin >= end) return;
  const int sources = segment.mode == Mode::denoise ? 2 : 1;
  for (int i = 0; i < sources; ++i) {
    Range sees[2];
    GPU_UNROLL
    for (int r = 0; r < 2; ++r) {
      const int row = b.query[r] / place.group, t = from + row;
      const CachedKeys keys = cached_keys(segment, t, a.window);
      sees[r] = {i == 1 ? 0 : keys.first, i == 1 ? segment.rows : keys.last};
      if (row >= place.rows || t < begin || t >= end) sees[r] = {0, 0};
    }
    const Range cached = {cached_keys(segment, begin, a.window).first,
                          cached_keys(segment, end - 1, a.window).last};
    const Source source = {{i == 1 ? a.fresh.k : a.ring.k, i == 1 ? a.fresh.v : a.ring.v},
                           i == 1 ? segment.row_begin : segment.slot * a.capacity,
                           static_cast<uint32_t>(i == 1 ? segment.rows : a.capacity)};
    const Range all = {i == 1 ? 0 : cached.first, i == 1 ? segment.rows : cached.last};
    attend(a, source, place.kv_head, all, sees, s, b);
  }
}

template <Stored kType, int kSlices, int kSplit>
GPU_DEVICE void store(const Attention& a, const Place& place,
                      const Block<kType, kSlices, kSplit>& b) {
  constexpr int kTiles = kSlice / 8 / kSplit;
  GPU_UNROLL
  for (int r = 0; r < 2; ++r) {
    float mass = b.mass[r] + shuffle_xor(b.mass[r], 1);
    mass += shuffle_xor(mass, 2);
    const int row = place.first_row + b.query[r] / place.group;
    if (b.query[r] / place.group >= place.rows || row >= a.params->rows) continue;
    float* out =
        a.out + (int64_t{row} * a.heads + place.kv_head * place.group + b.query[r] % place.group) *
                    a.head_dim;
    // Adding 0 makes −0 0, which a key that the row does not see would have done too.
    GPU_UNROLL
    for (int i = 0; i < kSlices * kTiles * 2; ++i) {
      const int tile = i / 2 % kTiles, slice = i / 2 / kTiles;
      const int column =
          slice * kSlice + (warp() % kSplit * kTiles + tile) * 8 + lane() % 4 * 2 + i % 2;
      if (column < a.head_dim) out[column] = b.out[slice][tile][2 * r + i % 2] / mass + 0.0f;
    }
  }
}

template <Stored kType, int kSlices, int kSplit>
GPU_DEVICE void attend_block(const Attention& a, Shared& s) {
  const int rows = attention_f16_rows(a);
  const Place place = {a.first_row + block_x() * rows, rows, block_y(), a.heads / a.kv_heads};
  const int query = warp() / kSplit * 16 + lane() / 4;
  Block<kType, kSlices, kSplit> b = {{query, query + 8}, {kLeast, kLeast}, {}, {}, {}};
  load_queries<kSlices * 8>(a, place, s);
  for (int i = 0; i < a.params->segment_count; ++i)
    attend_segment(a, place, a.params->segments[i], s, b);
  store(a, place, b);
}

// The block's work in f32, a head and 16 rows after another.
GPU_DEVICE void attend_exactly(const Attention& a, exact_attention::Shared& s) {
  const int rows = attention_f16_rows(a), heads = a.heads / a.kv_heads;
  const int begin = a.first_row + block_x() * rows, most = a.params->rows;
  const int end = begin + rows < most ? begin + rows : most;
  for (int head = 0; head < heads; ++head)
    for (int row = begin; row < end; row += kAttentionRows) {
      const int last = row + kAttentionRows < end ? row + kAttentionRows : end;
      exact_attention::attend_rows<kThreads>(a, row, last, block_y() * heads + head, s);
    }
}

template <bool kMma>
GPU_DEVICE void run(const Attention& a) {
  if constexpr (kMma) {
    GPU_SHARED(Shared, s, );
    const bool f16 = a.type == Stored::f16;
    if (a.head_dim <= 2 * kSlice)
      f16 ? attend_block<Stored::f16, 2, 1>(a, s) : attend_block<Stored::bf16, 2, 1>(a, s);
    else
      f16 ? attend_block<Stored::f16, 4, 2>(a, s) : attend_block<Stored::bf16, 4, 2>(a, s);
  } else {
    GPU_SHARED(exact_attention::Shared, s, );
    attend_exactly(a, s);
  }
}

GPU_KERNEL(attention_f16, AttentionF16, kThreads) {
  run<kHasMma && !kMmaMirrors>(a);
}

}  // namespace potluck::gpu::mma_attention
