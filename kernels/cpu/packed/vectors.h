// Integer vectors to and from memory, whatever the memory's type is: 8, 16 or 32 bytes at any
// address. On aligned addresses they cost what the aligned instructions cost. They need AVX.
//
// They have internal linkage: each source compiles them for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

namespace potluck::cpu {
namespace {

// 8 bytes, with zeros above them.
inline __m128i load_8(const void* p) {
  return _mm_loadu_si64(p);
}

inline __m128i load_16(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

inline __m256i load_32(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}

inline void store_16(void* p, __m128i v) {
  _mm_storeu_si128(static_cast<__m128i*>(p), v);
}

inline void store_32(void* p, __m256i v) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), v);
}

}  // namespace
}  // namespace potluck::cpu
