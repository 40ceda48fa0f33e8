// Stored panels of AMX: 32 rows of W reordered once, when a model loads, so that a step of
// TDPBF16PS, 32 columns, becomes bf16 tiles in a few instructions on 32 values each.
//
// A value becomes bf16 by way of f16, where scales are applied: h = scale · 2^k · (q − kZero) or
// scale · 2^k · q − minimum · 2^k, with k chosen for each row of W so that none exceeds 2¹⁵. With
// its five bits of exponent extended to eight by three constant ones, h becomes the bf16 of 2⁻¹⁶ ·
// h, rounded to nearest; what is under 2⁻²⁹ of the greatest, and zero, becomes about 2⁻³⁰ of it.
// Sums are multiplied by factor = 2^(16 − k) in the end. The error of a weight is 2⁻⁹ of it for
// bf16 as anywhere, and 2⁻¹¹ at most for scale and product.
//
// A block of kValues columns of the 32 rows:
//   values, in runs of 32 columns: 16 lines of 64 bytes, of two columns of each row. Eight bits:
//   [16][32 rows][2], signed. Fewer: 8 lines whose low nibbles are line i, the high ones line i +
//   8, the lines' eights of bytes in the order 0, 4, 1, 5, …; then bit 4, and bit 5, of all 16
//   lines: 64-bit masks [16] each.
//   scales: f16 2^k · halves [kHalves][32 rows], then a byte [kFactors][groups][32 rows].
// Behind the last block lies f32 factor[32 rows].
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include <cmath>

#include "kernels/cpu/packed/amx/bf16_multiply.h"
#include "kernels/cpu/packed/avx512/store_panel.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::amx {
namespace {

constexpr int kLines = 16;           // in a run: two columns of 32 rows
constexpr size_t kLineBytes = 64;    // as it is stored
constexpr size_t kTilesBytes = 128;  // of a line in bf16, in both tiles

// The place, in a run of fewer bits than eight, of bit 4 + `bit` of line i.
constexpr int64_t masks_at(int bit, int line) {
  return 8 * kLineBytes + 8 * (kLines * bit + line);
}

template <typename Format>
size_t blocks_bytes(int64_t columns) {
  return cpu::stored_bytes<Format>(columns);
}

constexpr size_t kFactorBytes = kPanelRows * sizeof(float);

template <typename Format>
size_t stored_bytes(int64_t columns) {
  return blocks_bytes<Format>(columns) + kFactorBytes;
}

// Lines 2j and 2j + 1 of dwords j of rows 0 to 15, and 16 to 31.
struct TwoLines {
  __m512i even, odd;
};

POTLUCK_INLINE_512 TwoLines lines_of(__m512i low, __m512i high) {
  const __m512i evens =
      _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26,
                       24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  return {_mm512_permutex2var_epi16(low, evens, high),
          _mm512_permutex2var_epi16(low, _mm512_add_epi16(evens, _mm512_set1_epi16(1)), high)};
}

POTLUCK_INLINE_512 TwoLines crossed_lines_of(__m512i low, __m512i high) {
  const __m512i eights = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
  const TwoLines lines = lines_of(low, high);
  return {_mm512_permutexvar_epi64(eights, lines.even),
          _mm512_permutexvar_epi64(eights, lines.odd)};
}

// The layout by which avx512/store_panel.h writes.
template <typename Format>
struct LinesLayout {
  static inline __attribute__((always_inline)) void bytes(const avx512::Quads& q,
                                                          std::byte* block) {
    for (int j = 0; j < kLines / 2; ++j)
      store(lines_of(q[0][j], q[1][j]), block + kLineBytes * 2 * j);
  }
  static inline __attribute__((always_inline)) void nibbles(const avx512::HalfQuads& nibbles,
                                                            std::byte* block, int run) {
    for (int j = 0; j < kLines / 4; ++j)
      store(crossed_lines_of(nibbles[0][j], nibbles[1][j]),
            block + run * StoredBlock<Format>::kRunBytes + kLineBytes * 2 * j);
  }
  static inline __attribute__((always_inline)) void bit(const avx512::Quads& q, int mask,
                                                        std::byte* block, int run, int bit) {
    std::byte* to = block + run * StoredBlock<Format>::kRunBytes + masks_at(bit, 0);
    const __m512i wanted = _mm512_set1_epi8(mask);
    for (int j = 0; j < kLines / 2; ++j) {
      const TwoLines lines = crossed_lines_of(q[0][j], q[1][j]);
      const uint64_t sets[2] = {_mm512_test_epi8_mask(lines.even, wanted),
                                _mm512_test_epi8_mask(lines.odd, wanted)};
      std::memcpy(to + 16 * j, sets, sizeof(sets));
    }
  }

 private:
  static inline __attribute__((always_inline)) void store(const TwoLines& lines, std::byte* to) {
    _mm512_store_si512(to, lines.even);
    _mm512_store_si512(to + kLineBytes, lines.odd);
  }
};

// The most that |scale · (q − kZero)|, or |scale · q| + |minimum|, can be for halves of 1.
template <typename Format>
constexpr float kMostOfHalf = (Format::kZero > 0 ? Format::kZero : (1 << Format::kBits) - 1) *
                              (Format::kFactors == 0   ? 1.0f
                               : Format::kFactors == 1 ? 128.0f
                                                       : 63.0f);
template <typename Format>
constexpr float kMostOfMinimum = Format::kFactors == 0 ? 1.0f : 63.0f;

POTLUCK_INLINE_512 __m512 load_halves(const std::byte* p) {
  return _mm512_cvtph_ps(load_32(p));
}

// Multiplies the scales of 16 rows by 2^k and writes, behind the panel, the factors that undo it.
template <typename Format>
POTLUCK_INLINE_512 void level_side(std::byte* panel, int64_t columns, int side) {
  using Block = StoredBlock<Format>;
  const int64_t blocks = columns / Format::kValues;
  const auto halves = [&](int64_t b, int h) {
    return panel + b * Block::kBytes + Block::kHalvesAt + 64 * h + 32 * side;
  };
  __m512 most = _mm512_setzero_ps();
  __mmask16 no_number = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    __m512 of_block = _mm512_mul_ps(_mm512_abs_ps(load_halves(halves(b, 0))),
                                    _mm512_set1_ps(kMostOfHalf<Format>));
    if constexpr (Format::kMinimum)
      of_block = _mm512_fmadd_ps(_mm512_abs_ps(load_halves(halves(b, 1))),
                                 _mm512_set1_ps(kMostOfMinimum<Format>), of_block);
    most = _mm512_max_ps(of_block, most);
    no_number |= _mm512_cmp_ps_mask(of_block, of_block, _CMP_UNORD_Q);
  }
  // 2^k · most in [2¹⁴, 2¹⁵).
  const __mmask16 some = _mm512_cmp_ps_mask(most, _mm512_setzero_ps(), _CMP_NEQ_UQ);
  const __m512 k = _mm512_maskz_sub_ps(some, _mm512_set1_ps(14), _mm512_getexp_ps(most));
  const __m512 one = _mm512_set1_ps(1), up = _mm512_scalef_ps(one, k);
  for (int64_t b = 0; b < blocks; ++b)
    for (int h = 0; h < Format::kHalves; ++h)
      store_32(halves(b, h), _mm512_cvtps_ph(_mm512_mul_ps(load_halves(halves(b, h)), up),
                                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  // Zeros stay zeros; what is no number makes none.
  const __m512 undo = _mm512_maskz_scalef_ps(some, one, _mm512_sub_ps(_mm512_set1_ps(16), k));
  const __m512 factor =
      _mm512_mask_sub_ps(undo, no_number, _mm512_set1_ps(INFINITY), _mm512_set1_ps(INFINITY));
  _mm512_store_ps(panel + blocks_bytes<Format>(columns) + 64 * side, factor);
}

// Stores W's rows, at most 32, as a stored panel.
template <typename Format>
void store_panel(const WeightView& w, std::byte* panel) {
  avx512::store_blocks<Format, LinesLayout<Format>>(w, panel);
  for (int side = 0; side < 2; ++side) level_side<Format>(panel, w.columns, side);
}

// A group's scale and offset in f16, of 16 rows, each twice: h = scale · q + offset.
struct LineScales {
  __m512h scale, offset;
};

POTLUCK_INLINE_512 __m512h twice(__m256h v) {
  const __m512i each = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8,
                                        7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  return _mm512_castsi512_ph(
      _mm512_permutexvar_epi16(each, _mm512_castsi256_si512(_mm256_castph_si256(v))));
}

// Returns halves [16], each times its byte of `factors` where the format has some.
template <typename Format>
POTLUCK_INLINE_512 __m256h scale_of(const std::byte* halves, const std::byte* factors) {
  const __m256h half = _mm256_load_ph(halves);
  if constexpr (Format::kFactors == 0) return half;
  const __m128i bytes = load_16(factors);
  const __m256i factor =
      Format::kFactors == 1 ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
  return _mm256_mul_ph(half, _mm256_cvtepi16_ph(factor));
}

template <typename Format>
POTLUCK_INLINE_512 LineScales scales_of(const std::byte* block, int group, int side) {
  using Block = StoredBlock<Format>;
  const std::byte* halves = block + Block::kHalvesAt + 32 * side;
  const std::byte* factors = block + Block::kFactorsAt + group * kPanelRows + 16 * side;
  const __m512h scale = twice(scale_of<Format>(halves, factors));
  if constexpr (Format::kMinimum) {
    const __m512h minimum =
        twice(scale_of<Format>(halves + 64, factors + Block::kGroups * kPanelRows));
    return {scale, Format::kFactors ? _mm512_sub_ph(_mm512_setzero_ph(), minimum) : minimum};
  }
  return {scale, _mm512_mul_ph(scale, _mm512_set1_ph(-Format::kZero))};
}

// Returns 2⁻¹⁶ · h in bf16.
POTLUCK_INLINE_512 __m512i bf16_of(__m512h h) {
  constexpr int kAndThenOr = 0xEA;
  const __m512i rounded = _mm512_add_epi16(_mm512_castph_si512(h), _mm512_set1_epi16(4));
  return _mm512_ternarylogic_epi32(_mm512_srai_epi16(rounded, 3), _mm512_set1_epi16(0x8fff),
                                   _mm512_set1_epi16(0x3000), kAndThenOr);
}

POTLUCK_INLINE_512 void write_line(__m512i q0, __m512i q1, const LineScales (&s)[2],
                                   std::byte* to) {
  _mm512_store_si512(to, bf16_of(_mm512_fmadd_ph(_mm512_cvtepi16_ph(q0), s[0].scale, s[0].offset)));
  _mm512_store_si512(to + 64,
                     bf16_of(_mm512_fmadd_ph(_mm512_cvtepi16_ph(q1), s[1].scale, s[1].offset)));
}

// Converts a line of eight bits.
POTLUCK_INLINE_512 void convert_line(const std::byte* line, const LineScales (&s)[2],
                                     std::byte* to) {
  const auto signed_words = [line](int side) __attribute__((always_inline)) {
    return _mm512_cvtepi8_epi16(load_32(line + 32 * side));
  };
  for (int side = 0; side < 2; ++side)
    _mm512_store_si512(to + 64 * side, bf16_of(_mm512_mul_ph(_mm512_cvtepi16_ph(signed_words(side)),
                                                             s[side].scale)));
}

// Converts line i of fewer bits.
template <typename Format>
POTLUCK_INLINE_512 void convert_line(const std::byte* run, int i, const LineScales (&s)[2],
                                     std::byte* to) {
  const __m512i pair = _mm512_load_si512(run + kLineBytes * (i % 8));
  __m512i q = _mm512_and_si512(i < 8 ? pair : _mm512_srli_epi16(pair, 4), _mm512_set1_epi8(15));
  for (int bit = 0; bit < StoredBlock<Format>::kExtraBits; ++bit) {
    uint64_t set;
    std::memcpy(&set, run + masks_at(bit, i), sizeof(set));
    q = _mm512_mask_add_epi8(q, set, q, _mm512_set1_epi8(16 << bit));
  }
  const __m512i zero = _mm512_setzero_si512();
  write_line(_mm512_unpacklo_epi8(q, zero), _mm512_unpackhi_epi8(q, zero), s, to);
}

// Counts the stored bytes before a step.
template <typename Format>
constexpr size_t bytes_before(int64_t step) {
  return step * StoredBlock<Format>::kBytes / StoredBlock<Format>::kRuns;
}

// Converts step `step` of a stored panel to bf16 tiles, [16 pairs][32 columns][2]. A step's bytes
// from `ahead` on are prefetched, line after line.
template <typename Format>
POTLUCK_INLINE_512 void convert_step(const std::byte* panel, int64_t step, std::byte* to,
                                     const std::byte* ahead = nullptr) {
  using Block = StoredBlock<Format>;
  constexpr int kLinesOfGroup = Format::kGroup / 2;
  const std::byte* block = panel + (step / Block::kRuns) * Block::kBytes;
  const int run = step % Block::kRuns;
  const std::byte* values = block + run * Block::kRunBytes;
#pragma GCC unroll 2
  for (int part = 0; part < kLines / kLinesOfGroup; ++part) {
    const int group = run * (kLines / kLinesOfGroup) + part;
    const LineScales s[2] = {scales_of<Format>(block, group, 0),
                             scales_of<Format>(block, group, 1)};
#pragma GCC unroll 16
    for (int j = 0; j < kLinesOfGroup; ++j) {
      const int i = part * kLinesOfGroup + j;
      if (ahead && kLineBytes * i < bytes_before<Format>(1))
        __builtin_prefetch(ahead + kLineBytes * i);
      if constexpr (Format::kBits == 8)
        convert_line(values + kLineBytes * i, s, to + kTilesBytes * i);
      else
        convert_line<Format>(values, i, s, to + kTilesBytes * i);
    }
  }
  if (ahead)
    for (size_t i = kLines * kLineBytes; i < bytes_before<Format>(1); i += kLineBytes)
      __builtin_prefetch(ahead + i);
}

}  // namespace
}  // namespace potluck::cpu::amx
