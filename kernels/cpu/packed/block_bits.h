// Numbers, nibbles and single bits of stored blocks, as vectors of bytes. All of it needs AVX2.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu {
namespace {

inline float read_f16(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return _cvtsh_ss(bits);
}

inline uint32_t read_u32(const uint8_t* p) {
  uint32_t bits;
  std::memcpy(&bits, p, 4);
  return bits;
}

inline __m256i low_nibbles(__m256i v) {
  return _mm256_and_si256(v, _mm256_set1_epi8(15));
}

inline __m256i high_nibbles(__m256i v) {
  return low_nibbles(_mm256_srli_epi16(v, 4));
}

// 16 bytes of nibbles as 32 values: the low ones, then the high ones.
inline __m256i nibbles_16(const uint8_t* p) {
  const __m128i bytes = load_16(p);
  return low_nibbles(_mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes));
}

// 16 in each byte whose bit of `mask` is set in the byte of `bits`.
inline __m256i fifth_where(__m256i bits, __m256i mask) {
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bits, mask), mask),
                          _mm256_set1_epi8(16));
}

// All ones in byte j where bit j is set.
inline __m256i byte_mask(uint32_t bits) {
  const __m256i spread =
      _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i each = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), spread);
  const __m256i bit = _mm256_set1_epi64x(0x8040201008040201);
  return _mm256_cmpeq_epi8(_mm256_and_si256(each, bit), bit);
}

// 16 in byte j where bit j is set.
inline __m256i fifth_bits(uint32_t bits) {
  return _mm256_and_si256(byte_mask(bits), _mm256_set1_epi8(16));
}

}  // namespace
}  // namespace potluck::cpu
