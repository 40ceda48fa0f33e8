// Attention on matrix units that mirror as RDNA3's do (gpu.h). All products are transposed: keys by
// queries, and columns of V by queries, so that a lane holds every other key, or column, of one
// query, and the other half of the warp those between. A thread fetches its share of the next slice
// into registers while the warp computes.
//
// A slice of K lies in rows of keys, whose chunks of 8 values change places so that 8 rows lie in
// other banks each. A slice of V lies in columns of 16 words, four chunks of four that change
// places likewise. A word has two keys, in the order in which the lanes of a product hold their
// weights: of 16 keys first the even ones, then the odd ones.
#pragma once

#include "kernels/gpu/fast/attention_block.h"

namespace potluck::gpu::mma_attention {

constexpr int kSums = 8;  // of a product of 16 × 16, for a lane

// A thread holds the softmax of a query over every other key and, of its outputs, every other
// column of its warp's, whose 256 come in quarters of kTiles · 16.
template <int kTiles>
struct MirrorBlock {
  static constexpr int kQueries = 1;
  float max[1], mass[1];
  float out[4][kTiles][kSums];
};

template <int kTiles>
GPU_DEVICE int query_of(const Place& place, const MirrorBlock<kTiles>&, int) {
  return warp_group(place) * 16 + lane() % 16;
}

// A thread's share of a slice: of K one chunk of every eighth key, of V two chunks of two keys.
struct Share {
  Words4 chunks[kKeys / 8];
};

// The first key of the pair that shares word `word` of V's columns; the second follows two after.
GPU_DEVICE int first_of_pair(int word) {
  return word / 8 * 16 + word % 4 * 4 + word % 8 / 4;
}

// Fetches this thread's share of a slice of the tile of keys from `tile` on; keys that no row sees
// are zeros, in whose place the first key's values are loaded.
GPU_DEVICE Share fetch_share(const Keys& keys, bool values, int tile, int slice) {
  const int own = opaque(thread()) & (kThreads - 1);
  const int chunk_of_keys = own % kChunks;
  const uint8_t* from = values ? keys.v : keys.k;
  Share share;
  GPU_UNROLL
  for (int i = 0; i < kKeys / 8; ++i) {
    const int chunk = values ? own / 16 + i / 2 * 8 : chunk_of_keys;
    const int key = tile + (values ? first_of_pair(own % 16) + i % 2 * 2 : own / 16 + 8 * i);
    const int ahead = slice * kSlice + (chunk - chunk_of_keys) * 8;  // of the column of k and v
    const bool inside = key >= keys.all.first && key < keys.all.last && ahead < keys.columns;
    const uint32_t row = row_of_key(keys, inside ? key : keys.all.first);
    const int column = inside ? ahead : -chunk_of_keys * 8;
    const Words4 words = *as<const Words4>(from + row * keys.row_bytes + column * 2);
    GPU_UNROLL
    for (int w = 0; w < 4; ++w) share.chunks[i].word[w] = inside ? words.word[w] : 0;
  }
  return share;
}

GPU_DEVICE void make_f16(const Keys& keys, Share& share) {
  if (keys.in_f16) return;
  for (Words4& chunk : share.chunks) chunk = bf16_to_f16(chunk);
}

GPU_DEVICE void store_keys(const Share& share, Slice& to) {
  const int own = opaque(thread()) & (kThreads - 1);
  GPU_UNROLL
  for (int i = 0; i < kKeys / 8; ++i)
    to.chunks[own / kChunks + 8 * i][own % kChunks ^ own / kChunks] = share.chunks[i];
}

// A column of V has four chunks of four words, of which chunk c lies at c ^ column / 2 % 4.
GPU_DEVICE void store_values(const Share& share, Slice& to) {
  const int own = opaque(thread()) & (kThreads - 1);
  const int word = own % 16;
  Words4* columns = &to.chunks[0][0] + own / 16 * 8 * 4;
  GPU_UNROLL
  for (int i = 0; i < 16; ++i) {
    const int value = i % 8, shift = value % 2 * 16;
    const uint32_t even = share.chunks[i / 8 * 2].word[value / 2] >> shift & 0xffffu;
    const uint32_t odd = share.chunks[i / 8 * 2 + 1].word[value / 2] >> shift & 0xffffu;
    columns[(i / 8 * 64 + value) * 4 + (word / 4 ^ value / 2)].word[word % 4] = even | odd << 16;
  }
}

GPU_DEVICE void set_words(uint32_t (&words)[8], const Words4& low, const Words4& high) {
  GPU_UNROLL
  for (int i = 0; i < 4; ++i) {
    words[i] = low.word[i];
    words[4 + i] = high.word[i];
  }
}

// scores += K·qᵀ over the columns of a slice, whose fragments of q have this lane's words at `q`,
// 16 further and every 32 from there; scores[g] is of keys [16·g, 16·g + 16).
template <int kGroups>
GPU_DEVICE void add_scores(const Words4* q, const Slice& k, float (&scores)[kGroups][kSums]) {
  const int own = opaque(lane()) & 31;
  GPU_UNROLL
  for (int step = 0; step < kSlice / 16; ++step) {
    uint32_t of_q[8], of_k[8];
    set_words(of_q, q[step * 32], q[step * 32 + 16]);
    GPU_UNROLL
    for (int g = 0; g < kGroups; ++g) {
      const int key = g * 16 + own % 16;
      set_words(of_k, k.chunks[key][step * 2 ^ own % 8], k.chunks[key][(step * 2 + 1) ^ own % 8]);
      mma_f16(scores[g], of_k, of_q);
    }
  }
}

// Turns scores into weights of f16 for the maximum so far, of keys that the query sees. weights[g]
// has those of keys [16·g, 16·g + 16), this half's and the other's.
template <typename Block>
GPU_DEVICE void weigh(Block& b, int tile, KeyRange sees, float (&scores)[kKeys / 16][kSums],
                      uint32_t (&weights)[kKeys / 16][8]) {
  float most = b.max[0];
  GPU_UNROLL
  for (int i = 0; i < kKeys / 2; ++i) {
    const int key = tile + i * 2 + lane() / 16;
    float& score = scores[i / kSums][i % kSums];
    if (key < sees.first || key >= sees.last) score = kLeast;
    most = score > most ? score : most;
  }
  const float other = shuffle_xor(most, 16);
  most = other > most ? other : most;
  const float keep = fast_exp2((b.max[0] - most) * kLog2E);
  b.max[0] = most;
  b.mass[0] *= keep;
  GPU_UNROLL
  for (int i = 0; i < kKeys / 4; ++i) {
    const float* pair = &scores[i / 4][i % 4 * 2];
    const uint32_t own = pack_f16(pair[0] > kLeast ? fast_exp2((pair[0] - most) * kLog2E) : 0.0f,
                                  pair[1] > kLeast ? fast_exp2((pair[1] - most) * kLog2E) : 0.0f);
    const uint32_t others = shuffle_xor<int>(own, 16);
    weights[i / 4][i % 4] = lane() < 16 ? own : others;
    weights[i / 4][4 + i % 4] = lane() < 16 ? others : own;
    b.mass[0] += f16_to_float(own & 0xffff) + f16_to_float(own >> 16);
  }
  if (!ballot(keep != 1.0f)) return;
  for (auto& quarter : b.out)
    for (float(&out)[kSums] : quarter)
      for (float& value : out) value *= keep;
}

// out += Vᵀ · weights over columns of a slice, those from `first` on.
template <int kTiles>
GPU_DEVICE void add_values(const uint32_t (&weights)[kKeys / 16][8], const Slice& v, int first,
                           float (&out)[kTiles][kSums]) {
  const int own = opaque(lane()) & 31;
  const Words4* columns = &v.chunks[0][0] + (first + own % 16) * 4;
  const int place = own / 2 % 4;
  GPU_UNROLL
  for (int i = 0; i < kTiles * 2; ++i) {
    const int tile = i / 2, g = i % 2;
    uint32_t of_v[8];
    set_words(of_v, columns[tile * 64 + ((g * 2) ^ place)],
              columns[tile * 64 + ((g * 2 + 1) ^ place)]);
    mma_f16(out[tile], of_v, weights[g]);
  }
}

// Attends to a thread's keys, of which its query sees those of sees[0].
template <int kTiles>
GPU_DEVICE void attend(const Place& place, const Keys& keys, const KeyRange (&sees)[1], Shared& s,
                       MirrorBlock<kTiles>& b) {
  const int slices = slices_of(place);
  const Words4* q = s.q + warp_group(place) * slices * (kSlice / 16) * 32 + lane() % 16;
  int tile = keys.all.first / kKeys * kKeys;
  Share next = fetch_share(keys, false, tile, 0);
  for (; tile < keys.all.last; tile += kKeys) {
    float scores[kKeys / 16][kSums] = {};
    GPU_ROLLED
    for (int i = 0; i < slices; ++i) {
      make_f16(keys, next);
      store_keys(next, s.slices[i % 2]);
      barrier();
      const bool last = i + 1 == slices;
      next = fetch_share(keys, last, tile, last ? 0 : i + 1);
      add_scores(q + i * (kSlice / 16 * 32), s.slices[i % 2], scores);
    }
    uint32_t weights[kKeys / 16][8];
    weigh(b, tile, sees[0], scores, weights);
    GPU_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int slice = slice_of(place, i);
      if (i % 2 == 0 || place.wide) {
        make_f16(keys, next);
        store_values(next, s.slices[slice % 2]);
        barrier();
        const bool last = slice + 1 == slices;
        next = fetch_share(keys, !last, last ? tile + kKeys : tile, last ? 0 : slice + 1);
      }
      add_values(weights, s.slices[slice % 2], first_chunk(place, i) * 8, b.out[i]);
    }
  }
}

template <int kTiles>
GPU_DEVICE void store(const AttentionF16& a, const Place& place, const MirrorBlock<kTiles>& b) {
  const float mass = b.mass[0] + shuffle_xor(b.mass[0], 16);
  const int query = query_of(place, b, 0), own = query / place.group;
  const int row = place.first_row + own;
  if (own >= place.rows || row >= a.first_row + a.spans.rows) return;
  const int head = place.kv_head * place.group + query % place.group;
  const int64_t at = result_at(a, place.choice.span, row, head);
  if (lane() < 16 && (!place.wide || warp() % 2 == 0)) a.spans.masses[at] = {b.max[0], mass};
  if (mass == 0) return;
  float* out = a.spans.sums + at * a.head_dim;
  GPU_UNROLL
  for (int i = 0; i < 4 * kTiles * kSums; ++i) {
    const int q = i / kSums / kTiles, tile = i / kSums % kTiles;
    const int column = slice_of(place, q) * kSlice + first_chunk(place, q) * 8 + tile * 16 +
                       i % kSums * 2 + lane() / 16;
    if (column < a.head_dim) out[column] = b.out[q][tile][i % kSums];
  }
}

}  // namespace potluck::gpu::mma_attention
