// Transposes 16 rows of 16 or 32 bytes to 4 or 8 vectors of 16 dwords, one row in each lane: so
// weights (4 int8 or 2 bf16 a dword) come to lie beside one another for VPDPBUSD and VDPBF16PS. It
// takes 16 loads and 8 shuffles for each 16 bytes.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/avx512/tiles.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx512 {

// Loads the 16 bytes at `p` of rows r, r + 4, r + 8 and r + 12. The compiler must take each address
// from `p` (it may be added to in the load): left alone it keeps one for every row, and more in
// memory than in registers.
POTLUCK_INLINE_512 __m512i load_four_rows(const std::byte* p, size_t stride) {
  asm("" : "+r"(p));
  const auto load = [ p, stride ](int row) __attribute__((always_inline)) {
    return load_16(p + row * stride);
  };
  __m512i v = _mm512_castsi128_si512(load(0));
  v = _mm512_inserti32x4(v, load(4), 1);
  v = _mm512_inserti32x4(v, load(8), 2);
  return _mm512_inserti32x4(v, load(12), 3);
}

// out[j] = dword j (0 … 3) of rows 0 … 15, which lie `stride` bytes apart.
POTLUCK_INLINE_512 void transpose_16x4(const std::byte* rows, size_t stride, __m512i out[4]) {
  const __m512i a = load_four_rows(rows, stride), b = load_four_rows(rows + stride, stride);
  const __m512i c = load_four_rows(rows + 2 * stride, stride);
  const __m512i d = load_four_rows(rows + 3 * stride, stride);
  const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
  out[0] = _mm512_unpacklo_epi64(ab_low, cd_low);
  out[1] = _mm512_unpackhi_epi64(ab_low, cd_low);
  out[2] = _mm512_unpacklo_epi64(ab_high, cd_high);
  out[3] = _mm512_unpackhi_epi64(ab_high, cd_high);
}

// Does the same with dwords 0 … 7.
POTLUCK_INLINE_512 void transpose_16x8(const std::byte* rows, size_t stride, __m512i out[8]) {
  transpose_16x4(rows, stride, out);
  transpose_16x4(rows + 16, stride, out + 4);
}

}  // namespace potluck::cpu::avx512
