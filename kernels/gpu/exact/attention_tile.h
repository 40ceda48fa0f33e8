// Attention of 16 rows of one query head in f32, over tiles of 64 keys, by online softmax. Tiles
// begin at multiples of 64 of the key's position (in a canvas, of its row), and a row's sums pass
// over keys that it does not see without a change: so its bits are the same in any company, and in
// whatever pieces its session was encoded.
#pragma once

#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/exact/attention_keys.h"

namespace potluck::gpu::exact_attention {

constexpr int kRows = kAttentionRows;
constexpr int kKeys = 64;   // of a tile, two a lane
constexpr int kSlice = 64;  // values of a head in shared memory at a time
constexpr float kLeast = -0x1.fffffep127f;

struct Shared {
  float q[kRows][kSlice + 1];
  float k[kKeys][kSlice + 1];
  float weights[kKeys][kRows];
  float keep[kRows];  // the factor of what was summed before this tile
  int64_t at[kKeys];  // where the head of each key begins
  float masses[kRows];
};

// A thread's part of its block. A warp owns the softmax of kWarpRows rows, a thread kColumns
// columns of all rows' outputs.
template <Stored kOf, int kOfThreads>
struct Block {
  static constexpr Stored kType = kOf;  // of K and V
  static constexpr int kThreads = kOfThreads;
  static constexpr int kWarpRows = kRows / (kThreads / 32);
  static constexpr int kColumns = kAttentionHeadMost / kThreads;

  int first_row, end_row, head;
  float max[kWarpRows], mass[kWarpRows];
  float out[kColumns][kRows];
};

template <Stored kType>
GPU_DEVICE float load(const void* from, int64_t i) {
  if constexpr (kType == Stored::f32) return as<const float>(from)[i];
  const uint16_t bits = as<const uint16_t>(from)[i];
  return kType == Stored::f16 ? f16_to_float(bits) : bf16_to_float(bits);
}

// The row of the block that is the warp's r-th.
template <typename Block>
GPU_DEVICE int own_row(int r) {
  return warp() * Block::kWarpRows + r;
}

// Loads values [d0, d0 + kSlice) of the block's queries and of the keys of a tile that any row
// sees; 0 stands for all others.
template <typename Block>
GPU_DEVICE void load_slice(const Attention& a, const Block& b, const KeySource& source,
                           KeyRange keys, int d0, Shared& s) {
  for (int i = opaque(thread()); i < kRows * kSlice; i += Block::kThreads) {
    const int row = b.first_row + i / kSlice, d = d0 + i % kSlice;
    const bool real = row < a.params->rows && d < a.head_dim;
    s.q[i / kSlice][i % kSlice] =
        real ? a.q[(int64_t{row} * a.heads + b.head) * a.head_dim + d] : 0.0f;
  }
  for (int i = opaque(thread()); i < kKeys * kSlice; i += Block::kThreads) {
    const int key = i / kSlice, d = d0 + i % kSlice;
    const bool real = key >= keys.first && key < keys.last && d < a.head_dim;
    s.k[key][i % kSlice] = real ? load<Block::kType>(source.rows.k, s.at[key] + d) : 0.0f;
  }
}

// scores[r][i] = q·k of the warp's row r and key lane() + 32·i of the tile; the sum is taken slice
// by slice.
template <typename Block>
GPU_DEVICE void take_scores(const Attention& a, const Block& b, const KeySource& source,
                            KeyRange keys, Shared& s, float (&scores)[Block::kWarpRows][2]) {
  for (int d0 = 0; d0 < a.head_dim; d0 += kSlice) {
    barrier();
    load_slice(a, b, source, keys, d0, s);
    barrier();
    float part[Block::kWarpRows][2] = {};
    for (int d = 0; d < kSlice; ++d) {
      const float k0 = s.k[lane()][d], k1 = s.k[lane() + 32][d];
      GPU_UNROLL
      for (int r = 0; r < Block::kWarpRows; ++r) {
        const float q = s.q[own_row<Block>(r)][d];
        part[r][0] = fma(q, k0, part[r][0]);
        part[r][1] = fma(q, k1, part[r][1]);
      }
    }
    GPU_UNROLL
    for (int r = 0; r < Block::kWarpRows; ++r) {
      scores[r][0] += part[r][0];
      scores[r][1] += part[r][1];
    }
  }
}

// Turns the scores of row r into weights for its maximum so far, for the keys of the tile that it
// sees.
template <typename Block>
GPU_DEVICE void weigh(Block& b, int r, KeyRange sees, const float (&scores)[2], Shared& s) {
  const bool sees0 = lane() >= sees.first && lane() < sees.last;
  const bool sees1 = lane() + 32 >= sees.first && lane() + 32 < sees.last;
  const float s0 = sees0 ? scores[0] : kLeast, s1 = sees1 ? scores[1] : kLeast;
  const float most = warp_max(s0 > s1 ? s0 : s1), max = most > b.max[r] ? most : b.max[r];
  const float keep = exp(b.max[r] - max);
  const float w0 = sees0 ? exp(s0 - max) : 0.0f, w1 = sees1 ? exp(s1 - max) : 0.0f;
  b.max[r] = max;
  b.mass[r] = b.mass[r] * keep + warp_sum(w0 + w1);
  const int row = own_row<Block>(r);
  s.weights[lane()][row] = w0;
  s.weights[lane() + 32][row] = w1;
  if (lane() == 0) s.keep[row] = keep;
}

// out = out · keep + Σ weight · v over the keys of the tile that any row sees.
template <typename Block>
GPU_DEVICE void add_values(const Attention& a, const KeySource& source, KeyRange keys,
                           const Shared& s, Block& b) {
  GPU_UNROLL
  for (int i = 0; i < Block::kColumns; ++i) {
    const int column = thread() + i * Block::kThreads;
    if (column >= a.head_dim) continue;
    GPU_UNROLL
    for (int r = 0; r < kRows; ++r) b.out[i][r] *= s.keep[r];
    for (int key = keys.first; key < keys.last; ++key) {
      const float v = load<Block::kType>(source.rows.v, s.at[key] + column);
      GPU_UNROLL
      for (int r = 0; r < kRows; ++r) b.out[i][r] = fma(s.weights[key][r], v, b.out[i][r]);
    }
  }
}

// Takes the part of a range that lies in the tile from `tile` on, counted from there.
GPU_DEVICE KeyRange within(KeyRange keys, int tile) {
  const int first = keys.first - tile, last = keys.last - tile;
  return {first > 0 ? first : 0, last < kKeys ? last : kKeys};
}

// Attends to keys [all.first, all.last); the warp's rows see those of sees[r].
template <typename Block>
GPU_DEVICE void attend(const Attention& a, const KeySource& source, KeyRange all,
                       const KeyRange (&sees)[Block::kWarpRows], Shared& s, Block& b) {
  const int kv_head = b.head / (a.heads / a.kv_heads);
  for (int tile = all.first / kKeys * kKeys; tile < all.last; tile += kKeys) {
    const KeyRange keys = within(all, tile);
    barrier();
    if (thread() < kKeys)
      s.at[thread()] =
          ((source.begin + (tile + thread()) % source.capacity) * a.kv_heads + kv_head) *
          a.head_dim;
    float scores[Block::kWarpRows][2] = {};
    take_scores(a, b, source, keys, s, scores);
    GPU_UNROLL
    for (int r = 0; r < Block::kWarpRows; ++r) weigh(b, r, within(sees[r], tile), scores[r], s);
    barrier();
    add_values(a, source, keys, s, b);
  }
}

// Attends with rows [begin, end) of a segment, those that lie in the block: to the keys in its
// session's ring, then to those of its canvas.
template <typename Block>
GPU_DEVICE void attend_segment(const Attention& a, const Segment& segment, int begin, int end,
                               KeyChoice choice, Shared& s, Block& b) {
  for (int canvas = 0; canvas < 2; ++canvas) {
    KeyRange sees[Block::kWarpRows];
    GPU_UNROLL
    for (int r = 0; r < Block::kWarpRows; ++r) {
      const int t = b.first_row + own_row<Block>(r) - segment.row_begin;
      sees[r] = keys_of_row(a, segment, t, canvas);
      if (t < begin || t >= end) sees[r] = {0, 0};
    }
    attend(a, key_source(a, segment, canvas), chosen_keys(a, segment, begin, end, canvas, choice),
           sees, s, b);
  }
}

// Returns attention of rows [first_row, end_row) of the pass, kRows at most, for one query head,
// with s.masses set. A block of kThreads threads calls it.
template <Stored kType, int kThreads>
GPU_DEVICE Block<kType, kThreads> attend_rows(const Attention& a, int first_row, int end_row,
                                              int head, KeyChoice choice, Shared& s) {
  Block<kType, kThreads> b = {first_row, end_row, head, {}, {}, {}};
  for (float& max : b.max) max = kLeast;
  for (int i = 0; i < a.params->segment_count; ++i) {
    const Segment& segment = a.params->segments[i];
    const int from = first_row - segment.row_begin, to = end_row - segment.row_begin;
    const int begin = from > 0 ? from : 0, end = to < segment.rows ? to : segment.rows;
    if (begin < end) attend_segment(a, segment, begin, end, choice, s, b);
  }
  if (lane() == 0)
    for (int r = 0; r < kRows / (kThreads / 32); ++r)
      s.masses[own_row<Block<kType, kThreads>>(r)] = b.mass[r];
  barrier();
  return b;
}

}  // namespace potluck::gpu::exact_attention
