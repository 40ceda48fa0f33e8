// A block takes a span of keys of the queries of some rows and of all query heads that share a KV
// head, 16 a group of warps, over tiles of 32 keys, by online softmax. Tiles begin at multiples of
// 32 of the key's position, as spans do, and a row's sums pass over keys that it does not see
// without a change.
//
// K and V come through shared memory in slices of 32 keys × 128 columns: those of a tile's K, then
// those of its V. While warps compute on one slice, the next is under way.
//
// Heads over 256 have two warps to a group: both take its scores, each sums half of V's columns.
//
// This is what is the same for all matrix units; attention_mma.h and attention_wmma.h have the
// rest.
#pragma once

#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/attention_keys.h"

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

// The row of a key that some row of the block sees.
GPU_DEVICE uint32_t row_of_key(const Keys& keys, int key) {
  const uint32_t row = key + keys.shift;
  return row >= keys.capacity ? row - keys.capacity : row;
}

GPU_DEVICE Words4 bf16_to_f16(Words4 values) {
  for (uint32_t& word : values.word)
    word = pack_f16(float_of(word << 16), float_of(word & 0xffff0000u));
  return values;
}

// Loads the block's queries as fragments, which attend() reads behind a barrier of its own. Halves
// that mirror read the same four words.
GPU_DEVICE void load_queries(const Attention& a, const Place& place, Shared& s) {
  const int steps = slices_of(place) * (kSlice / 16);
  for (int i = thread(); i < kQueryWords; i += kThreads) {
    const int word = i % 4, to = i / 4 % 32, step = i / 128 % steps, sixteen = i / 128 / steps;
    const int query = sixteen * 16 + (kMmaMirrors ? to % 16 : mma_a_row(to, word));
    const int column = step * 16 + (kMmaMirrors ? to / 16 * 4 + word : mma_a_depth(to, word)) * 2;
    const int row = place.first_row + query / place.group;
    const bool real = query / place.group < place.rows && row < a.params->rows;
    const float* q =
        a.q +
        (int64_t{row} * a.heads + place.kv_head * place.group + query % place.group) * a.head_dim;
    s.q[i / 4].word[word] = pack_f16(real && column < a.head_dim ? q[column] : 0.0f,
                                     real && column + 1 < a.head_dim ? q[column + 1] : 0.0f);
  }
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

// Attends with the rows of a segment that lie in the block. The first time that there are keys it
// loads the block's queries.
template <typename Block>
GPU_DEVICE void attend_segment(const Attention& a, const Place& place, const Segment& segment,
                               bool& loaded, Shared& s, Block& b) {
  const int from = place.first_row - segment.row_begin, to = from + place.rows;
  const int begin = from > 0 ? from : 0, end = to < segment.rows ? to : segment.rows;
  if (begin >= end) return;
  const bool canvas = place.choice.span >= place.choice.cached;
  const KeyRange all = chosen_keys(a, segment, begin, end, canvas, place.choice);
  if (all.first >= all.last) return;
  if (!loaded) load_queries(a, place, s);
  loaded = true;
  KeyRange sees[Block::kQueries];
  GPU_UNROLL
  for (int r = 0; r < Block::kQueries; ++r) {
    const int row = query_of(place, b, r) / place.group, t = from + row;
    sees[r] = keys_of_row(a, segment, t, canvas);
    if (row >= place.rows || t < begin || t >= end) sees[r] = {0, 0};
  }
  attend(place, keys_to_copy(a, place, key_source(a, segment, canvas), all), sees, s, b);
}

// Where the result of a row of the pass and a query head lies, counted in heads.
GPU_DEVICE int64_t result_at(const AttentionF16& a, int span, int row, int head) {
  return (int64_t{span} * a.spans.rows + row - a.first_row) * a.heads + head;
}

}  // namespace potluck::gpu::mma_attention
