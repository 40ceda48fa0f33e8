// Stores rows of W as a stored panel: bytes change places, and no value is unpacked. 16 rows of 16
// or 32 bytes are transposed at a time, in registers, so that it takes as long as copying. 32 rows
// side by side are more streams than the hardware follows: meanwhile the panel that lies behind
// this one is prefetched from end to end.
//
// GB/s of the file's bytes on one core, to pages touched before, against values unpacked one row at
// a time: Q8_0 5.8 (3.9), Q4_K 11 (1.9), Q5_0 11 (2.8), Q6_K 5.7 (2.8); memcpy of as much 6.5 (Xeon
// with AMX, 2026-11-26). Streaming stores, mapping a task's pages of the file by
// MADV_POPULATE_READ, and prefetching the lines to be written were tried and were no faster.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/packed/avx512/stored_panel.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx512 {
namespace {

// Bytes of 32 rows: [side][j] is dword j of 16 rows.
using Quads = __m512i[2][kQuads];
using HalfQuads = __m512i[2][kQuads / 2];

// The blocks at one place of 32 rows.
struct BlockRows {
  const std::byte* at;
  size_t stride;

  const std::byte* side(int side, int offset) const {
    return at + (kSide * side) * stride + offset;
  }
};

// Loads 32 bytes of each row.
POTLUCK_INLINE_512 void take_quads(BlockRows rows, int offset, Quads& q) {
  for (int side = 0; side < 2; ++side)
    transpose_16x8(rows.side(side, offset), rows.stride, q[side]);
}

// Loads a dword of each row of one side.
POTLUCK_INLINE_512 __m512i take_dwords(BlockRows rows, int side, int offset) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i stride = _mm512_set1_epi32(rows.stride);
  return _mm512_i32gather_epi32(_mm512_mullo_epi32(lane, stride), rows.side(side, offset), 1);
}

// Takes a's bits where `mask` is set, else b's.
POTLUCK_INLINE_512 __m512i select_bits(__m512i mask, __m512i a, __m512i b) {
  return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

// Takes 32 columns out of the low nibbles of q, or out of the high ones, as bytes of columns i and
// i + 16.
POTLUCK_INLINE_512 void low_nibbles_of(const Quads& q, HalfQuads& nibbles) {
  for (int side = 0; side < 2; ++side)
    for (int j = 0; j < kQuads / 2; ++j)
      nibbles[side][j] = select_bits(_mm512_set1_epi8(15), q[side][j],
                                     _mm512_slli_epi16(q[side][j + kQuads / 2], 4));
}

POTLUCK_INLINE_512 void high_nibbles_of(const Quads& q, HalfQuads& nibbles) {
  for (int side = 0; side < 2; ++side)
    for (int j = 0; j < kQuads / 2; ++j)
      nibbles[side][j] = select_bits(_mm512_set1_epi8(15), _mm512_srli_epi16(q[side][j], 4),
                                     q[side][j + kQuads / 2]);
}

// Expands 32 bits a row to a byte each, all ones where the bit is set.
POTLUCK_INLINE_512 void bytes_of_bits(__m512i dwords, __m512i (&q)[kQuads]) {
  const __m128i first = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
#pragma GCC unroll 8
  for (int j = 0; j < kQuads; ++j) {  // columns 4j to 4j + 3 are half of byte j / 2
    const __m128i place = _mm_add_epi8(first, _mm_set1_epi8(j / 2));
    const __m512i four = _mm512_shuffle_epi8(dwords, _mm512_broadcast_i32x4(place));
    const __m512i mask = _mm512_set1_epi32(j % 2 ? 0x80402010u : 0x08040201u);
    q[j] = _mm512_movm_epi8(_mm512_test_epi8_mask(four, mask));
  }
}

// A layout says how one block's values are written; all layouts have its scales in the same places.
//   bytes(q, block): writes eight bits, 32 columns, as they are in the file;
//   nibbles(nibbles, block, run): writes a run of fewer bits, columns i and i + 16;
//   bit(q, mask, block, run, bit): writes bit 4 + `bit` of a run: whether any of `mask` is set in a
//   byte.

// Stores blocks of one run: halves, 32 fifth bits where there are such, nibbles as a run has them.
template <typename Format, typename Layout>
POTLUCK_INLINE_512 void store_short_values(BlockRows rows, std::byte* block) {
  HalfQuads nibbles;
  for (int side = 0; side < 2; ++side)
    transpose_16x4(rows.side(side, Format::kBytes - 16), rows.stride, nibbles[side]);
  Layout::nibbles(nibbles, block, 0);
  if constexpr (Format::kBits == 5) {
    Quads q;
    for (int side = 0; side < 2; ++side)
      bytes_of_bits(take_dwords(rows, side, Format::kBytes - 20), q[side]);
    Layout::bit(q, 1, block, 0, 0);
  }
}

// Stores runs `run` and `run` + `apart`, the low and the high nibbles of 32 bytes.
template <typename Layout>
POTLUCK_INLINE_512 void store_two_runs(BlockRows rows, int offset, std::byte* block, int run,
                                       int apart) {
  Quads q;
  HalfQuads nibbles;
  take_quads(rows, offset, q);
  low_nibbles_of(q, nibbles);
  Layout::nibbles(nibbles, block, run);
  high_nibbles_of(q, nibbles);
  Layout::nibbles(nibbles, block, run + apart);
}

// Stores Q4_K and Q5_K: bit r of fifth byte i is column i's of run r.
template <typename Format, typename Layout>
POTLUCK_INLINE_512 void store_k_values(BlockRows rows, std::byte* block) {
  for (int chunk = 0; chunk < 4; ++chunk)
    store_two_runs<Layout>(rows, Format::kBytes - 128 + 32 * chunk, block, 2 * chunk, 1);
  if constexpr (Format::kBits == 5) {
    Quads q;
    take_quads(rows, 16, q);
    for (int run = 0; run < 8; ++run) Layout::bit(q, 1 << run, block, run, 0);
  }
}

// Stores Q6_K. Each half of 128 columns has 32 bytes of runs 0 and 2, 32 of runs 1 and 3, and 32
// with bits 4 and 5 of run r at 2r.
template <typename Layout>
POTLUCK_INLINE_512 void store_q6_values(BlockRows rows, std::byte* block) {
  for (int half = 0; half < 2; ++half) {
    for (int odd = 0; odd < 2; ++odd)
      store_two_runs<Layout>(rows, 64 * half + 32 * odd, block, 4 * half + odd, 2);
    Quads q;
    take_quads(rows, 128 + 32 * half, q);
    for (int place = 0; place < 8; ++place)
      Layout::bit(q, 1 << place, block, 4 * half + place / 2, place % 2);
  }
}

template <typename Format, typename Layout>
POTLUCK_INLINE_512 void store_values(BlockRows rows, std::byte* block) {
  if constexpr (Format::kBits == 8) {
    Quads q;
    take_quads(rows, Format::kBytes - 32, q);
    Layout::bytes(q, block);
  } else if constexpr (Format::kFactors == 0) {
    store_short_values<Format, Layout>(rows, block);
  } else if constexpr (Format::kBits == 6) {
    store_q6_values<Layout>(rows, block);
  } else {
    store_k_values<Format, Layout>(rows, block);
  }
}

// Stores the low halves of 16 dwords.
POTLUCK_INLINE_512 void store_halves(__m512i dwords, std::byte* to) {
  store_32(to, _mm512_cvtepi32_epi16(dwords));
}

// Stores 16 rows of 4 bytes as 4 groups of 16 rows.
POTLUCK_INLINE_512 void store_four_factors(__m512i rows, std::byte* to) {
  const __m128i bytes = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i fours = _mm512_shuffle_epi8(rows, _mm512_broadcast_i32x4(bytes));
  const __m512i groups = _mm512_permutexvar_epi32(_mm512_cvtepi8_epi32(bytes), fours);
  const auto store = [to](int group, __m128i of) { store_16(to + group * kPanelRows, of); };
  store(0, _mm512_castsi512_si128(groups));
  store(1, _mm512_extracti32x4_epi32(groups, 1));
  store(2, _mm512_extracti32x4_epi32(groups, 2));
  store(3, _mm512_extracti32x4_epi32(groups, 3));
}

// Stores 16 bytes a row: f16 d, f16 m, and S [12] with 8 scales and 8 minima of 6 bits
// (SixBitScales).
POTLUCK_INLINE_512 void store_k_scales(BlockRows rows, int side, std::byte* halves,
                                       std::byte* factors) {
  __m512i s[4];  // d and m, S[0, 4), S[4, 8), S[8, 12)
  transpose_16x4(rows.side(side, 0), rows.stride, s);
  store_halves(s[0], halves);
  store_halves(_mm512_srli_epi32(s[0], 16), halves + 2 * kPanelRows);
  const __m512i six = _mm512_set1_epi8(63), four = _mm512_set1_epi8(15);
  const auto later = [=](__m512i low, __m512i high) {  // bits 6 and 7 of `high` as 4 and 5
    return _mm512_and_si512(select_bits(four, low, _mm512_srli_epi16(high, 2)), six);
  };
  std::byte* minima = factors + 8 * kPanelRows;
  store_four_factors(_mm512_and_si512(s[1], six), factors);
  store_four_factors(later(s[3], s[1]), factors + 4 * kPanelRows);
  store_four_factors(_mm512_and_si512(s[2], six), minima);
  store_four_factors(later(_mm512_srli_epi16(s[3], 4), s[2]), minima + 4 * kPanelRows);
}

// Stores 16 int8, and f16 d at the block's end.
template <typename Format>
POTLUCK_INLINE_512 void store_q6_scales(BlockRows rows, int side, std::byte* halves,
                                        std::byte* factors) {
  store_halves(_mm512_srli_epi32(take_dwords(rows, side, Format::kBytes - 4), 16), halves);
  __m512i scales[4];
  transpose_16x4(rows.side(side, Format::kBytes - 18), rows.stride, scales);
  for (int i = 0; i < 4; ++i) store_four_factors(scales[i], factors + 4 * i * kPanelRows);
}

// Makes bf16 of MXFP4's scales, whose exponents are the lowest bytes: 2^(e − 128), which is
// subnormal for e of 0 and 1.
POTLUCK_INLINE_512 __m512i bf16_of_exponents(__m512i dwords) {
  const __m512i e = _mm512_and_si512(dwords, _mm512_set1_epi32(255));
  const __mmask16 small = _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2));
  const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 7);
  return _mm512_mask_sllv_epi32(normal, small, _mm512_set1_epi32(0x20), e);
}

template <typename Format>
POTLUCK_INLINE_512 void store_scales(BlockRows rows, std::byte* block) {
  for (int side = 0; side < 2; ++side) {
    std::byte* halves = block + StoredBlock<Format>::kHalvesAt + 2 * kSide * side;
    std::byte* factors = block + StoredBlock<Format>::kFactorsAt + kSide * side;
    if constexpr (Format::kFactors == 2) {
      store_k_scales(rows, side, halves, factors);
    } else if constexpr (Format::kFactors == 1) {
      store_q6_scales<Format>(rows, side, halves, factors);
    } else {
      const __m512i first = take_dwords(rows, side, 0);  // f16 d, then m where there is one
      store_halves(kHasBf16Halves<Format> ? bf16_of_exponents(first) : first, halves);
      if constexpr (Format::kHalves == 2)
        store_halves(_mm512_srli_epi32(first, 16), halves + 2 * kPanelRows);
    }
  }
}

template <typename Format, typename Layout>
POTLUCK_INLINE_512 void store_block(BlockRows rows, std::byte* block) {
  store_values<Format, Layout>(rows, block);
  store_scales<Format>(rows, block);
}

// Stores fewer rows than a panel has, with zeros in the place of the others.
template <typename Format, typename Layout>
void store_partial_panel(const WeightView& w, std::byte* panel) {
  std::byte rows[kPanelRows * Format::kBytes] = {};
  const int64_t blocks = w.columns / Format::kValues;
  const auto* bytes = static_cast<const std::byte*>(w.blocks);
  for (int64_t b = 0; b < blocks; ++b, panel += StoredBlock<Format>::kBytes) {
    for (int64_t c = 0; c < w.rows; ++c)
      std::memcpy(rows + c * Format::kBytes, bytes + (c * blocks + b) * Format::kBytes,
                  Format::kBytes);
    store_block<Format, Layout>({rows, Format::kBytes}, panel);
  }
}

// Stores W's rows, at most 32, as the blocks of a stored panel.
template <typename Format, typename Layout>
void store_blocks(const WeightView& w, std::byte* panel) {
  if (w.rows < kPanelRows) return store_partial_panel<Format, Layout>(w, panel);
  constexpr int kTogether = kPanelRows * Format::kBytes;  // a block of each row
  const int64_t blocks = w.columns / Format::kValues;
  const auto* rows = static_cast<const std::byte*>(w.blocks);
  const std::byte* behind = rows + blocks * kTogether;
  for (int64_t b = 0; b < blocks; ++b, panel += StoredBlock<Format>::kBytes) {
    for (int i = 0; i < kTogether; i += 64)
      __builtin_prefetch(behind + b * kTogether + i, 0, 1);  // to L2
    store_block<Format, Layout>(
        {rows + b * Format::kBytes, static_cast<size_t>(blocks) * Format::kBytes}, panel);
  }
}

// The layout of stored_panel.h. Q8_0 stores q − kZero, which is q with the sign bit turned.
template <typename Format>
struct SidesLayout {
  using Block = StoredBlock<Format>;

  static inline __attribute__((always_inline)) void bytes(const Quads& q, std::byte* block) {
    const __m512i sign = _mm512_set1_epi8(-128);
    for (int side = 0; side < 2; ++side)
      for (int j = 0; j < kQuads; ++j)
        _mm512_store_si512(block + 4 * kPanelRows * j + 64 * side,
                           _mm512_xor_si512(q[side][j], sign));
  }
  static inline __attribute__((always_inline)) void nibbles(const HalfQuads& nibbles,
                                                            std::byte* block, int run) {
    for (int side = 0; side < 2; ++side)
      for (int j = 0; j < kQuads / 2; ++j)
        _mm512_store_si512(side_at(block, run, side) + 64 * j, nibbles[side][j]);
  }
  static inline __attribute__((always_inline)) void bit(const Quads& q, int mask, std::byte* block,
                                                        int run, int bit) {
    const __m512i wanted = _mm512_set1_epi8(mask);
    for (int side = 0; side < 2; ++side)
      for (int j = 0; j < kQuads; ++j) {
        const uint64_t set = _mm512_test_epi8_mask(q[side][j], wanted);
        std::memcpy(side_at(block, run, side) + 256 + 64 * bit + 8 * j, &set, sizeof(set));
      }
  }

 private:
  static std::byte* side_at(std::byte* block, int run, int side) {
    return block + run * Block::kRunBytes + side * kSideBytes<Format>;
  }
};

template <typename Format>
void store_panel(const WeightView& w, std::byte* panel) {
  if constexpr (kIsGrid<Format>)
    store_grid_panel<Format>(w, panel);
  else
    store_blocks<Format, SidesLayout<Format>>(w, panel);
}

}  // namespace
}  // namespace potluck::cpu::avx512
