// Quantizes values of x in blocks of 32 that share a scale, of which the rows of every integer
// product are made.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>

#include "kernels/cpu/packed/avx512/tiles.h"
#include "kernels/cpu/packed/avx512/transpose.h"

namespace potluck::cpu::avx512 {
namespace {

constexpr int kBlock = 32;

// Whether one of the values was not finite of which rounding made these, or less: the processor
// makes the least integer of such a value.
POTLUCK_INLINE_512 bool some_not_finite(__m512i least) {
  return _mm512_cmpeq_epi32_mask(least, _mm512_set1_epi32(INT32_MIN)) != 0;
}

// q = round(x · reach / max|x|), 16 values a half; x ≈ scale · q. If a value is not finite the
// scale is NaN, and so is every product; q is 0 then, whose sums do not overflow.
struct QuantizedBlock {
  __m512i halves[2];
  float scale;
};

POTLUCK_INLINE_512 QuantizedBlock quantize(__m512 a, __m512 b, float reach) {
  const float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
  const __m512 inverse = _mm512_set1_ps(inverse_step(most, reach));
  const __m512i first = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse));
  const __m512i second = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
  if (some_not_finite(_mm512_min_epi32(first, second)))
    return {{_mm512_setzero_si512(), _mm512_setzero_si512()}, NAN};
  return {{first, second}, most / reach};
}

POTLUCK_INLINE_512 QuantizedBlock quantize_block(const float* x, float reach) {
  return quantize(_mm512_loadu_ps(x), _mm512_loadu_ps(x + 16), reach);
}

// Takes the first n values of a block; the others are zero.
POTLUCK_INLINE_512 QuantizedBlock quantize_part(const float* x, int64_t n, float reach) {
  return quantize(_mm512_maskz_loadu_ps(first_lanes(n), x),
                  _mm512_maskz_loadu_ps(first_lanes(n - 16), x + 16), reach);
}

}  // namespace
}  // namespace potluck::cpu::avx512
