// The tiles of AVX2's products begin, continue and end with these.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/packed/panels.h"

namespace potluck::cpu::avx2 {

namespace {  // compiled for AVX2, for these sources alone

#define POTLUCK_INLINE_256 inline __attribute__((always_inline))

constexpr int kColumns = kPanelRows;
constexpr int kHalf = 16;  // columns of a tile: two vectors

// The first n of 8 lanes; n may be anything.
POTLUCK_INLINE_256 __m256i first_lanes(int64_t n) {
  const int count = n >= 8 ? 8 : n <= 0 ? 0 : static_cast<int>(n);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// The first sums of columns [column, column + 16) of row r, those under p.count.
POTLUCK_INLINE_256 void start_columns(const PanelProduct& p, int64_t r, int64_t column,
                                      __m256 (&sums)[2]) {
  const float* out = p.out + r * p.out_stride + column;
  for (int side = 0; side < 2; ++side)
    sums[side] =
        p.keep ? _mm256_mul_ps(
                     _mm256_set1_ps(p.keep[r]),
                     _mm256_maskload_ps(out + 8 * side, first_lanes(p.count - column - 8 * side)))
               : _mm256_setzero_ps();
}

// The sums that are in out already.
POTLUCK_INLINE_256 void load_columns(const PanelProduct& p, int64_t r, int64_t column,
                                     __m256 (&sums)[2]) {
  const float* out = p.out + r * p.out_stride + column;
  for (int side = 0; side < 2; ++side)
    sums[side] = _mm256_maskload_ps(out + 8 * side, first_lanes(p.count - column - 8 * side));
}

// (A masked store takes 12 cycles and more on Zen: whole vectors go without.)
POTLUCK_INLINE_256 void store_columns(const PanelProduct& p, int64_t r, int64_t column,
                                      const __m256 (&sums)[2]) {
  float* out = p.out + r * p.out_stride + column;
  for (int side = 0; side < 2; ++side) {
    const int64_t n = p.count - column - 8 * side;
    if (n >= 8)
      _mm256_storeu_ps(out + 8 * side, sums[side]);
    else
      _mm256_maskstore_ps(out + 8 * side, first_lanes(n), sums[side]);
  }
}

// sum += v, in its register and in its place: a compiler left to itself takes all products of a
// step before their sums, spills one, and moves the others (145 GOP/s for 188 of 4 bits).
POTLUCK_INLINE_256 void add_int16(__m256i& sum, __m256i v) {
  asm("vpaddw %1, %0, %0" : "+x"(sum) : "x"(v));
}

POTLUCK_INLINE_256 void add_int32(__m256i& sum, __m256i v) {
  asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(v));
}

// rows[i] = dwords of row i → dwords i of all rows.
POTLUCK_INLINE_256 void transpose_8x8(__m256i (&rows)[8]) {
  __m256i pairs[8], quads[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      quads[i + 2 * j] = _mm256_unpacklo_epi64(pairs[i + j], pairs[i + j + 2]);
      quads[i + 2 * j + 1] = _mm256_unpackhi_epi64(pairs[i + j], pairs[i + j + 2]);
    }
  for (int j = 0; j < 4; ++j) {
    rows[j] = _mm256_permute2x128_si256(quads[j], quads[j + 4], 0x20);
    rows[j + 4] = _mm256_permute2x128_si256(quads[j], quads[j + 4], 0x31);
  }
}

}  // namespace

}  // namespace potluck::cpu::avx2
