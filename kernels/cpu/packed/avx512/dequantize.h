// Converts stored blocks to bf16 or f32: formats.h unpacks them, then they are scaled in f32 and,
// for bf16, rounded once.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <cstring>
#include <type_traits>

#include "kernels/cpu/packed/avx512/tiles.h"
#include "kernels/cpu/packed/formats.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx512 {
namespace {

constexpr int64_t kPart = 256;  // values converted at a time where there are no integer blocks

// Rounds to nearest, ties to even. Where there is no instruction for it, NaN is not kept.
POTLUCK_INLINE_512 __m256i to_bf16(__m512 x) {
#ifdef __AVX512BF16__
  return (__m256i)_mm512_cvtneps_pbh(x);
#else
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_add_epi32(bits, half), 16));
#endif
}

inline void store_bf16(__m512 x, uint16_t* out) {
  store_32(out, to_bf16(x));
}

// Calls store(i, values i … i + 16) for a block.
template <typename Format, typename Store>
POTLUCK_INLINE_512 void dequantize_block(const uint8_t* block, const Store& store) {
  constexpr int kGroups = Format::kValues / Format::kGroup;
  alignas(64) uint8_t q[Format::kValues];
  float scale[kGroups * kPanelRows], minimum[kGroups * kPanelRows];
  unpack_values<Format>(block, q);
  cpu::unpack_scales<Format>(block, scale, minimum);
  for (int i = 0; i < Format::kValues; i += 16) {
    const int group = i / Format::kGroup * kPanelRows;
    const __m128i bytes = load_16(q + i);
    const __m512i level =
        _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(Format::kZero));
    __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(level), _mm512_set1_ps(scale[group]));
    if constexpr (Format::kMinimum) x = _mm512_sub_ps(x, _mm512_set1_ps(minimum[group]));
    store(i, x);
  }
}

// Converts signed bytes as they lie.
template <typename Store>
POTLUCK_INLINE_512 void dequantize_signed(const uint8_t* block, const Store& store) {
  const __m512 scale = _mm512_set1_ps(read_f16(block));
  for (int i = 0; i < Q8_0::kValues; i += 16) {
    const __m128i q = load_16(block + 2 + i);
    store(i, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)), scale));
  }
}

inline void store_values(__m512 x, uint16_t* out) {
  store_bf16(x, out);
}
inline void store_values(__m512 x, float* out) {
  _mm512_storeu_ps(out, x);
}

template <typename Format, typename Value>
void dequantize_blocks(const void* blocks, int64_t values, Value* out) {
  const auto* b = static_cast<const uint8_t*>(blocks);
  for (; values > 0; values -= Format::kValues, b += Format::kBytes, out += Format::kValues) {
    const auto store = [out](int i, __m512 x) __attribute__((always_inline)) {
      store_values(x, out + i);
    };
    if constexpr (std::is_same_v<Format, Q8_0>)
      dequantize_signed(b, store);
    else
      dequantize_block<Format>(b, store);
  }
}

inline void store_part(__m512 x, int64_t n, uint16_t* out) {
  _mm256_mask_storeu_epi16(out, first_lanes(n), to_bf16(x));
}

inline void convert_f16(const void* blocks, int64_t values, uint16_t* out) {
  const auto* halves = static_cast<const uint16_t*>(blocks);
  for (int64_t i = 0; i < values; i += 16) {
    const __m256i some = _mm256_maskz_loadu_epi16(first_lanes(values - i), halves + i);
    store_part(_mm512_cvtph_ps(some), values - i, out + i);
  }
}

inline void convert_f32(const float* x, int64_t values, uint16_t* out) {
  for (int64_t i = 0; i < values; i += 16)
    store_part(_mm512_maskz_loadu_ps(first_lanes(values - i), x + i), values - i, out + i);
}

inline void dequantize_parts(DType type, const void* blocks, int64_t values, uint16_t* out) {
  const BlockShape shape = block_shape(type);
  float part[kPart];
  for (int64_t i = 0; i < values; i += kPart) {
    const int64_t n = values - i < kPart ? values - i : kPart;
    dequantize_row(type, static_cast<const std::byte*>(blocks) + i / shape.values * shape.bytes,
                   part, n);
    convert_f32(part, n, out + i);
  }
}

// Converts formats without integer blocks.
inline void dequantize_other(DType type, const void* blocks, int64_t values, uint16_t* out) {
  if (type == DType::bf16)
    std::memcpy(out, blocks, values * sizeof(*out));
  else if (type == DType::f16)
    convert_f16(blocks, values, out);
  else if (type == DType::f32)
    convert_f32(static_cast<const float*>(blocks), values, out);
  else
    dequantize_parts(type, blocks, values, out);
}

inline void dequantize_other(DType type, const void* blocks, int64_t values, float* out) {
  dequantize_row(type, blocks, out, values);
}

template <typename Value>
void dequantize(DType type, const void* blocks, int64_t values, Value* out) {
  if (!with_format(type,
                   [&]<typename Format>() { dequantize_blocks<Format>(blocks, values, out); }))
    dequantize_other(type, blocks, values, out);
}

}  // namespace
}  // namespace potluck::cpu::avx512
