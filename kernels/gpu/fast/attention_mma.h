// Attention on matrix units whose lanes do not mirror (gpu.h). A slice lies in rows of keys, whose
// chunks of 8 values change places so that the 8 rows of a matrix lie in other banks each; V's
// matrices are transposed as they are loaded.
#pragma once

#include "kernels/gpu/fast/attention_block.h"

namespace potluck::gpu::mma_attention {

// A thread holds the softmax of two queries and, of their outputs, 2 columns of every 8 of its
// warp's, whose 256 come in quarters of kQuarter chunks.
template <int kQuarter>
struct Block {
  static constexpr int kQueries = 2;
  float max[2], mass[2];
  float out[4][kQuarter][4];
};

// The r-th query of a thread, within the block.
template <int kQuarter>
GPU_DEVICE int query_of(const Place& place, const Block<kQuarter>&, int r) {
  return warp_group(place) * 16 + lane() / 4 + 8 * r;
}

// Begins to copy a slice of the tile of keys from `tile` on; those that no row sees are zeros.
GPU_DEVICE void copy_slice(const Keys& keys, bool values, int tile, int slice, Slice& to) {
  const uint8_t* at = (values ? keys.v : keys.k) + slice * kSlice * 2;
  GPU_UNROLL
  for (int i = 0; i < kKeys / 8; ++i) {
    const int own = thread() / kChunks, key = tile + own + 8 * i;
    const bool inside =
        key >= keys.all.first && key < keys.all.last && slice * kSlice < keys.columns;
    const uint8_t* from = at + (inside ? row_of_key(keys, key) : 0) * keys.row_bytes;
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

struct alignas(8) Pair {
  float value[2];
};

template <int kQuarter>
GPU_DEVICE void store(const AttentionF16& a, const Place& place, const Block<kQuarter>& b) {
  GPU_UNROLL
  for (int r = 0; r < 2; ++r) {
    float mass = b.mass[r] + shuffle_xor(b.mass[r], 1);
    mass += shuffle_xor(mass, 2);
    const int own = query_of(place, b, r) / place.group, row = place.first_row + own;
    if (own >= place.rows || row >= a.first_row + a.spans.rows) continue;
    const int head = place.kv_head * place.group + query_of(place, b, r) % place.group;
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

}  // namespace potluck::gpu::mma_attention
