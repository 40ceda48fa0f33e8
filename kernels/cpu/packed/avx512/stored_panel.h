// Stored panels of AVX-512: 32 rows of W reordered once, when a model loads, so that a product
// reads them as one stream and transposes nothing again: StoredBlock (formats.h).
//
// A run of 32 columns of the 32 rows lies so. Eight bits: [8][32 rows][4], as a product takes them.
// Fewer: for each 16 rows, bytes [4][16 rows][4] whose low nibbles are columns 0 to 15 of the run,
// the high ones 16 to 31; then bit 4, and bit 5, of all 32 columns: 64-bit masks [8] each.
//
// Fewer bits than eight become a panel in L1, a chunk at a time, with scales in f32
// (int8_layout.h).
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include <algorithm>

#include "kernels/cpu/packed/avx512/int8_layout.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx512 {
namespace {

constexpr int kQuads = 8;        // in a run: 4 columns of 16 rows are a vector
constexpr int kSide = 16;        // rows of a vector
constexpr int64_t kChunk = 256;  // columns unpacked at a time: the largest block

template <typename Format>
constexpr int kSideBytes =
    256 + 64 * StoredBlock<Format>::kExtraBits;  // in a run of fewer bits than eight

// Unpacks one side of a run; vector j goes to to(j).
template <typename Format, typename To>
POTLUCK_INLINE_512 void unpack_side(const std::byte* from, const To& to) {
  const __m512i low = _mm512_set1_epi8(15);
#pragma GCC unroll 8
  for (int j = 0; j < kQuads; ++j) {
    const __m512i pair = _mm512_load_si512(from + 64 * (j % 4));
    __m512i q = _mm512_and_si512(j < 4 ? pair : _mm512_srli_epi16(pair, 4), low);
    if constexpr (kHasLevels<Format>) {
      const __m512i levels = _mm512_broadcast_i64x4(Format::levels());
      q = _mm512_shuffle_epi8(levels, q);
    }
    for (int bit = 0; bit < StoredBlock<Format>::kExtraBits; ++bit) {
      uint64_t set;
      std::memcpy(&set, from + 256 + 64 * bit + 8 * j, sizeof(set));
      q = _mm512_mask_add_epi8(q, set, q, _mm512_set1_epi8(16 << bit));
    }
    _mm512_store_si512(to(j), q);
  }
}

// The place where the 4-byte columns j of a panel's run begin.
template <typename Format>
POTLUCK_INLINE_512 std::byte* quad_at(std::byte* panel, int run, int j) {
  constexpr int kQuadsOfGroup = Format::kGroup / 4;
  const int quad = run * kQuads + j;
  return panel + quad / kQuadsOfGroup * kGroupBytes<Format> + quad % kQuadsOfGroup * 4 * kPanelRows;
}

template <typename Format>
POTLUCK_INLINE_512 void unpack_values(const std::byte* block, std::byte* panel) {
  using Block = StoredBlock<Format>;
  for (int run = 0; run < Block::kRuns; ++run)
    for (int side = 0; side < 2; ++side)
      unpack_side<Format>(block + run * Block::kRunBytes + side * kSideBytes<Format>,
                          [&](int j) { return quad_at<Format>(panel, run, j) + 64 * side; });
}

// Returns f16 [16] at `halves`, each times its byte of `factors` where the format has some.
template <typename Format>
POTLUCK_INLINE_512 __m512 scale_of(const std::byte* halves, const std::byte* factors) {
  const __m256i bits = load_32(halves);
  if constexpr (kHasBf16Halves<Format>)
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  const __m512 half = _mm512_cvtph_ps(bits);
  if constexpr (Format::kFactors == 0) return half;
  const __m128i bytes = load_16(factors);
  const __m512i factor =
      Format::kFactors == 1 ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
  return _mm512_mul_ps(half, _mm512_cvtepi32_ps(factor));
}

template <typename Format>
POTLUCK_INLINE_512 void unpack_scales(const std::byte* block, std::byte* panel) {
  using Block = StoredBlock<Format>;
  for (int g = 0; g < Block::kGroups; ++g)
    for (int side = 0; side < 2; ++side) {
      const std::byte* halves = block + Block::kHalvesAt + 2 * kSide * side;
      const std::byte* factors = block + Block::kFactorsAt + g * kPanelRows + kSide * side;
      std::byte* to = panel + g * kGroupBytes<Format> + Format::kGroup * kPanelRows + 64 * side;
      _mm512_store_ps(to, scale_of<Format>(halves, factors));
      if constexpr (Format::kMinimum) {
        const __m512 minimum =
            scale_of<Format>(halves + 2 * kPanelRows, factors + Block::kGroups * kPanelRows);
        _mm512_store_ps(to + 4 * kPanelRows,
                        Format::kFactors ? minimum : _mm512_sub_ps(_mm512_setzero_ps(), minimum));
      }
    }
}

// A part of a stored panel of eight bits, which needs no unpacking.
template <typename Format>
struct StoredChunk {
  const std::byte* panel;
  int64_t first, groups;

  static constexpr size_t kStride = StoredBlock<Format>::kBytes;
  const std::byte* group(int64_t g) const { return panel + g * kStride; }
  static __m512 scale(const std::byte* scales, int side) {
    return scale_of<Format>(scales + 2 * kSide * side, nullptr);
  }
};

template <typename Format, typename Body>
POTLUCK_INLINE_512 void each_unpacked_chunk(const std::byte* stored, int64_t columns,
                                            const Body& body) {
  using Block = StoredBlock<Format>;
  alignas(64) std::byte panel[kChunk / Format::kGroup * kGroupBytes<Format>];
  constexpr int64_t kBlocks = kChunk / Format::kValues;
  const int64_t blocks = columns / Format::kValues;
  for (int64_t b = 0; b < blocks; b += kBlocks) {
    const int64_t count = std::min(kBlocks, blocks - b);
    for (int64_t i = 0; i < count; ++i) {
      const std::byte* block = stored + (b + i) * Block::kBytes;
      std::byte* to = panel + (i * Block::kGroups) * kGroupBytes<Format>;
      unpack_values<Format>(block, to);
      unpack_scales<Format>(block, to);
    }
    body(PanelChunk<Format>{panel, b * Block::kGroups, count * Block::kGroups});
  }
}

// Hands a stored panel to body(chunk) in pieces: eight bits as they lie, `piece` groups at a time;
// fewer are unpacked.
template <typename Format, typename Body>
POTLUCK_INLINE_512 void each_chunk(const std::byte* stored, int64_t columns, int64_t piece,
                                   const Body& body) {
  if constexpr (Format::kBits < 8) {
    each_unpacked_chunk<Format>(stored, columns, body);
  } else {
    const int64_t groups = columns / Format::kGroup;
    for (int64_t g = 0; g < groups; g += piece)
      body(StoredChunk<Format>{stored + stored_bytes<Format>(g * Format::kGroup), g,
                               std::min(piece, groups - g)});
  }
}

}  // namespace
}  // namespace potluck::cpu::avx512
