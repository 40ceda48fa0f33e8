// A block takes a span of keys of the queries of some rows and of all query heads that share a KV
// head, 16 a group of warps, over tiles of 32 keys, by online softmax. Tiles begin at multiples of
// 32 of the key's position, as spans do, and a row's sums pass over keys that it does not see
// without a change.
//
// K and V come through shared memory in slices of 32 keys × 128 columns: those of a tile's K, then
// those of its V. While warps compute on one slice, the next is copied. A slice lies in rows of
// keys, whose chunks of 8 values change places so that the 8 rows of a matrix lie in other banks
// each; V's matrices are transposed as they are loaded.
//
// Heads over 256 have two warps to a group: both take its scores, each sums half of V's columns.
//
// Fragments are those that do not mirror (gpu.h). Cards with others or without matrix units attend
// in f32 (attention_tile.h).
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/attention_keys.h"
#include "kernels/gpu/exact/attention_tile.h"

namespace potluck::gpu::mma_attention {

constexpr int kThreads = 128;
constexpr int kKeys = 32;    // of a tile
constexpr int kSlice = 128;  // columns
constexpr int kChunks = kSlice / 8;
constexpr int kQueryWords = 64 * 256 / 2;
constexpr float kLeast = -1e30f;

struct Slice {
  Words4 chunks[kKeys][kChunks];
};

struct Shared {
  Words4 q[kQueryWords / 4];  // fragments of 16 × 16, a lane's four words together
  Slice slices[2];
};

// A block's place in the pass: its rows, and the query heads of its KV head.
struct Place {
  int first_row, rows, kv_head, group;
  KeyChoice choice;
  bool wide;  // heads over 256: 4 slices and 2 warps to a group, or else 2 and 1
};

GPU_DEVICE int slices_of(const Place& place) {
  return place.wide ? 4 : 2;
}
GPU_DEVICE int warp_group(const Place& place) {
  return place.wide ? warp() / 2 : warp();
}
// The slice of V that has the q-th quarter of a warp's columns, and the first of its chunks.
GPU_DEVICE int slice_of(const Place& place, int q) {
  return place.wide ? q : q / 2;
}
GPU_DEVICE int first_chunk(const Place& place, int q) {
  return (place.wide ? warp() % 2 : q % 2) * 8;
}
// The r-th query of a thread, within the block.
GPU_DEVICE int query_of(const Place& place, int r) {
  return warp_group(place) * 16 + lane() / 4 + 8 * r;
}

// The keys that a block attends to, as a thread copies them: k and v are where its values of the
// source's row 0 begin. Of a slice it has one chunk of every eighth key. Key i lies in row i +
// shift, or `capacity` rows before that.
struct Keys {
  const uint8_t *k, *v;
  uint32_t row_bytes, capacity, shift;
  KeyRange all;
  int columns;  // of the head from this thread's first on
  bool in_f16;  // or else in bf16
};

// A thread holds the softmax of two queries and, of their outputs, 2 columns of every 8 of its
// warp's, whose 256 come in quarters of kQuarter chunks.
template <int kQuarter>
struct Block {
  float max[2], mass[2];
  float out[4][kQuarter][4];
};

GPU_DEVICE Words4 bf16_to_f16(Words4 values) {
  for (uint32_t& word : values.word)
    word = pack_f16(float_of(word << 16), float_of(word & 0xffff0000u));
  return values;
}

// Begins to copy a slice of the tile of keys from `tile` on; those that no row sees are zeros.
GPU_DEVICE void copy_slice(const Keys& keys, bool values, int tile, int slice, Slice& to) {
  const uint8_t* at = (values ? keys.v : keys.k) + slice * kSlice * 2;
  GPU_UNROLL
  for (int i = 0; i < kKeys / 8; ++i) {
    const int own = thread() / kChunks, key = tile + own + 8 * i;
    const bool inside =
        key >= keys.all.first && key < keys.all.last && slice * kSlice < keys.columns;
    uint32_t row = inside ? key + keys.shift : 0;
    if (row >= keys.capacity) row -= keys.capacity;
    const uint8_t* from = at + row * keys.row_bytes;
    Words4& chunk = to.chunks[own + 8 * i][thread() % kChunks ^ own];
    if (keys.in_f16)
      copy16(&chunk, from, inside);
    else
      chunk = inside ? bf16_to_f16(*as<const Words4>(from)) : Words4{};
  }
  commit_copies();
}

GPU_DEVICE void wait_for_slice() {
  wait_copies<0>();
  barrier();
}

// scores += q·Kᵀ over the columns of a slice, whose fragments of q have this lane's words at `q`
// and every 32 from there; tile n of the scores is that of keys [8·n, 8·n + 8).
template <int kTiles>
GPU_DEVICE void add_scores(const Words4* q, const Slice& k, float (&scores)[kTiles][4]) {
  GPU_UNROLL
  for (int step = 0; step < kSlice / 32; ++step) {
    const Words4 low = q[step * 64], high = q[step * 64 + 32];
    const int chunk = step / 2 * 8 + ((step % 2 * 4 + lane() / 8) ^ lane() % 8);
    GPU_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      uint32_t words[4];
      load_matrices<false>(words, &k.chunks[n * 8 + lane() % 8][chunk]);
      mma_f16(scores[n], low.word, {words[0], words[1]});
      mma_f16(scores[n], high.word, {words[2], words[3]});
    }
  }
}

// Turns scores into weights of f16 for the maxima so far, of keys that the queries see; weights[j]
// is the fragment of keys [16·j, 16·j + 16).
template <typename Block>
GPU_DEVICE void weigh(Block& b, int tile, const KeyRange (&sees)[2], float (&scores)[kKeys / 8][4],
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
      const uint32_t word =
          pack_f16(pair[0] > kLeast ? fast_exp2((pair[0] - most) * kLog2E) : 0.0f,
                   pair[1] > kLeast ? fast_exp2((pair[1] - most) * kLog2E) : 0.0f);
      weights[n / 2][n % 2 * 2 + r] = word;
      b.mass[r] += f16_to_float(word & 0xffff) + f16_to_float(word >> 16);
    }
  }
  if (!ballot(keep[0] != 1.0f || keep[1] != 1.0f)) return;
  for (auto& quarter : b.out)
    for (float(&out)[4] : quarter)
      for (int i = 0; i < 4; ++i) out[i] *= keep[i / 2];
}

// out += weights · V over some chunks of a slice, those from chunk `first` on.
template <int kQuarter>
GPU_DEVICE void add_values(const uint32_t (&weights)[kKeys / 16][4], const Slice& v, int first,
                           float (&out)[kQuarter][4]) {
  const Words4* row = &v.chunks[lane()][first];
  GPU_UNROLL
  for (int n = 0; n < kQuarter; ++n) {
    uint32_t words[4];
    load_matrices<true>(words, row + (n ^ lane() % 8));
    mma_f16(out[n], weights[0], {words[0], words[1]});
    mma_f16(out[n], weights[1], {words[2], words[3]});
  }
}

// Attends to a thread's keys, of which its queries see those of sees[r].
template <typename Block>
GPU_DEVICE void attend(const Place& place, const Keys& keys, const KeyRange (&sees)[2], Shared& s,
                       Block& b) {
  if (keys.all.first >= keys.all.last) return;
  const int slices = slices_of(place);
  const Words4* q = s.q + warp_group(place) * slices * (kSlice / 16) * 32 + lane();
  int tile = keys.all.first / kKeys * kKeys;
  copy_slice(keys, false, tile, 0, s.slices[0]);
  for (; tile < keys.all.last; tile += kKeys) {
    float scores[kKeys / 8][4] = {};
    GPU_ROLLED
    for (int i = 0; i < slices; ++i) {
      wait_for_slice();
      const bool last = i + 1 == slices;
      copy_slice(keys, last, tile, last ? 0 : i + 1, s.slices[(i + 1) % 2]);
      add_scores(q + i * (kSlice / 16 * 32), s.slices[i % 2], scores);
    }
    uint32_t weights[kKeys / 16][4];
    weigh(b, tile, sees, scores, weights);
    GPU_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int slice = slice_of(place, i);
      if (i % 2 == 0 || place.wide) {
        wait_for_slice();
        const bool last = slice + 1 == slices;
        if (!last || tile + kKeys < keys.all.last)
          copy_slice(keys, !last, last ? tile + kKeys : tile, last ? 0 : slice + 1,
                     s.slices[(slice + 1) % 2]);
      }
      add_values(weights, s.slices[slice % 2], first_chunk(place, i), b.out[i]);
    }
  }
}

// Loads the block's queries as fragments.
GPU_DEVICE void load_queries(const Attention& a, const Place& place, Shared& s) {
  const int steps = slices_of(place) * (kSlice / 16);
  for (int i = thread(); i < kQueryWords; i += kThreads) {
    const int word = i % 4, to = i / 4 % 32, step = i / 128 % steps, sixteen = i / 128 / steps;
    const int query = sixteen * 16 + mma_a_row(to, word);
    const int column = step * 16 + mma_a_depth(to, word) * 2;
    const int row = place.first_row + query / place.group;
    const bool real = query / place.group < place.rows && row < a.params->rows;
    const float* q =
        a.q +
        (int64_t{row} * a.heads + place.kv_head * place.group + query % place.group) * a.head_dim;
    s.q[i / 4].word[word] = pack_f16(real && column < a.head_dim ? q[column] : 0.0f,
                                     real && column + 1 < a.head_dim ? q[column + 1] : 0.0f);
  }
  barrier();
}

GPU_DEVICE Keys keys_to_copy(const Attention& a, const Place& place, const KeySource& source,
                             KeyRange all) {
  const int column = thread() % kChunks * 8;
  const int64_t row_bytes = int64_t{a.kv_heads} * a.head_dim * 2;
  const int64_t at = source.begin * row_bytes + (place.kv_head * a.head_dim + column) * 2;
  return {as<const uint8_t>(source.rows.k) + at,
          as<const uint8_t>(source.rows.v) + at,
          static_cast<uint32_t>(row_bytes),
          source.capacity,
          static_cast<uint32_t>(all.first) % source.capacity - all.first,
          all,
          a.head_dim - column,
          a.type == Stored::f16};
}

// Attends with the rows of a segment that lie in the block.
template <typename Block>
GPU_DEVICE void attend_segment(const Attention& a, const Place& place, const Segment& segment,
                               Shared& s, Block& b) {
  const int from = place.first_row - segment.row_begin, to = from + place.rows;
  const int begin = from > 0 ? from : 0, end = to < segment.rows ? to : segment.rows;
  if (begin >= end) return;
  const bool canvas = place.choice.span >= place.choice.cached;
  KeyRange sees[2];
  GPU_UNROLL
  for (int r = 0; r < 2; ++r) {
    const int row = query_of(place, r) / place.group, t = from + row;
    sees[r] = keys_of_row(a, segment, t, canvas);
    if (row >= place.rows || t < begin || t >= end) sees[r] = {0, 0};
  }
  const KeyRange all = chosen_keys(a, segment, begin, end, canvas, place.choice);
  attend(place, keys_to_copy(a, place, key_source(a, segment, canvas), all), sees, s, b);
}

struct alignas(8) Pair {
  float value[2];
};

// Where the result of a row of the pass and a query head lies, counted in heads.
GPU_DEVICE int64_t result_at(const AttentionF16& a, int span, int row, int head) {
  return (int64_t{span} * a.spans.rows + row - a.first_row) * a.heads + head;
}

template <int kQuarter>
GPU_DEVICE void store(const AttentionF16& a, const Place& place, const Block<kQuarter>& b) {
  GPU_UNROLL
  for (int r = 0; r < 2; ++r) {
    float mass = b.mass[r] + shuffle_xor(b.mass[r], 1);
    mass += shuffle_xor(mass, 2);
    const int own = query_of(place, r) / place.group, row = place.first_row + own;
    if (own >= place.rows || row >= a.first_row + a.spans.rows) continue;
    const int head = place.kv_head * place.group + query_of(place, r) % place.group;
    const int64_t at = result_at(a, place.choice.span, row, head);
    if (lane() % 4 == 0 && (!place.wide || warp() % 2 == 0)) a.spans.masses[at] = {b.max[r], mass};
    if (mass == 0) continue;
    float* out = a.spans.sums + at * a.head_dim;
    GPU_UNROLL
    for (int i = 0; i < 4 * kQuarter; ++i) {
      const int q = i / kQuarter, chunk = first_chunk(place, q) + i % kQuarter;
      const int column = slice_of(place, q) * kSlice + chunk * 8 + lane() % 4 * 2;
      const float* pair = &b.out[q][i % kQuarter][2 * r];
      if (column < a.head_dim) *as<Pair>(out + column) = {pair[0], pair[1]};
    }
  }
}

template <int kQuarter>
GPU_DEVICE void attend_block(const AttentionF16& a, const Place& place, Shared& s) {
  Block<kQuarter> b = {{kLeast, kLeast}, {}, {}};
  load_queries(a, place, s);
  for (int i = 0; i < a.params->segment_count; ++i)
    attend_segment(a, place, a.params->segments[i], s, b);
  store(a, place, b);
}

template <Stored kType>
GPU_DEVICE void attend_rows_exactly(const AttentionF16& a, const Place& place, int row, int last,
                                    int head, exact_attention::Shared& s) {
  const auto b = exact_attention::attend_rows<kType, kThreads>(a, row, last, head, place.choice, s);
  if (lane() == 0)
    for (int r = 0; r < b.kWarpRows; ++r) {
      const int own = row + warp() * b.kWarpRows + r;
      if (own < last)
        a.spans.masses[result_at(a, place.choice.span, own, head)] = {b.max[r], b.mass[r]};
    }
  GPU_UNROLL
  for (int r = 0; r < kAttentionRows; ++r) {
    if (row + r >= last || s.masses[r] == 0) continue;
    float* out = a.spans.sums + result_at(a, place.choice.span, row + r, head) * a.head_dim;
    GPU_UNROLL
    for (int i = 0; i < b.kColumns; ++i) {
      const int column = thread() + i * kThreads;
      if (column < a.head_dim) out[column] = b.out[i][r];
    }
  }
  barrier();
}

// The block's work in f32, a head and 16 rows after another.
GPU_DEVICE void attend_exactly(const AttentionF16& a, const Place& place,
                               exact_attention::Shared& s) {
  const int begin = place.first_row, most = a.first_row + a.spans.rows;
  const int end = begin + place.rows < most ? begin + place.rows : most;
  for (int head = place.kv_head * place.group; head < (place.kv_head + 1) * place.group; ++head)
    for (int row = begin; row < end; row += kAttentionRows) {
      const int last = row + kAttentionRows < end ? row + kAttentionRows : end;
      if (a.type == Stored::f16)
        attend_rows_exactly<Stored::f16>(a, place, row, last, head, s);
      else
        attend_rows_exactly<Stored::bf16>(a, place, row, last, head, s);
    }
}

template <bool kMma>
GPU_DEVICE void run(const AttentionF16& a, const Place& place) {
  if constexpr (kMma) {
    GPU_SHARED(Shared, s, );
    constexpr int kQuarter = kMma ? kChunks / 2 : 0;
    attend_block<kQuarter>(a, place, s);
  } else {
    GPU_SHARED(exact_attention::Shared, s, );
    attend_exactly(a, place, s);
  }
}

GPU_KERNEL(attention_f16, AttentionF16, kThreads) {
  const int rows = attention_f16_rows(a);
  const KeyChoice choice = {block_y() / a.kv_heads, a.spans.cached};
  const Place place = {a.first_row + block_x() * rows, rows,   block_y() % a.kv_heads,
                       a.heads / a.kv_heads,           choice, a.head_dim > 2 * kSlice};
  run<kHasMma && !kMmaMirrors>(a, place);
}

}  // namespace potluck::gpu::mma_attention
