// The tiles of AVX-512's products begin, continue and end with these.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/packed/panels.h"

namespace potluck::cpu::avx512 {

#define POTLUCK_INLINE_512 static inline __attribute__((always_inline))

namespace {  // compiled for AVX-512, for these sources alone

// The first n of 16 lanes; n may be anything.
inline __mmask16 first_lanes(int64_t n) {
  return n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1;
}

POTLUCK_INLINE_512 __m512 broadcast(const std::byte* p) {
  float value;
  std::memcpy(&value, p, sizeof(value));
  return _mm512_set1_ps(value);
}

// The first sums of columns [0, count) of a panel's 32, for row r.
inline void start_columns(const PanelProduct& p, int64_t r, __m512 (&sums)[2]) {
  for (int side = 0; side < 2; ++side)
    sums[side] = p.keep ? _mm512_mul_ps(_mm512_set1_ps(p.keep[r]),
                                        _mm512_maskz_loadu_ps(first_lanes(p.count - 16 * side),
                                                              p.out + r * p.out_stride + 16 * side))
                        : _mm512_setzero_ps();
}

inline void load_columns(const PanelProduct& p, int64_t r, __m512 (&sums)[2]) {
  for (int side = 0; side < 2; ++side)
    sums[side] = _mm512_maskz_loadu_ps(first_lanes(p.count - 16 * side),
                                       p.out + r * p.out_stride + 16 * side);
}

inline void store_columns(const PanelProduct& p, int64_t r, const __m512 (&sums)[2]) {
  for (int side = 0; side < 2; ++side)
    _mm512_mask_storeu_ps(p.out + r * p.out_stride + 16 * side, first_lanes(p.count - 16 * side),
                          sums[side]);
}

}  // namespace

}  // namespace potluck::cpu::avx512
