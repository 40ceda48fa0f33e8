// Converts stored blocks to bf16: formats.h unpacks them, then they are scaled in f32 and rounded
// once.
#include <cstring>

#include "kernels/cpu/packed/avx2.h"
#include "kernels/cpu/packed/avx2/tiles.h"
#include "kernels/cpu/packed/formats.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr int64_t kPart = 256;  // values converted at a time where there are no integer blocks

// 8 values' upper halves as dwords, rounded to nearest, ties to even. NaN is not kept.
POTLUCK_INLINE_256 __m256i rounded(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
  return _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
}

POTLUCK_INLINE_256 void store_bf16(__m256 low, __m256 high, uint16_t* out) {
  const __m256i packed = _mm256_packus_epi32(rounded(low), rounded(high));
  store_32(out, _mm256_permute4x64_epi64(packed, 0xd8));
}

// 8 values of a group in f32.
template <typename Format>
POTLUCK_INLINE_256 __m256 values_of(const uint8_t* q, float scale, float minimum) {
  const __m128i bytes = load_8(q);
  const __m256i level =
      _mm256_sub_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(Format::kZero));
  const __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(level), _mm256_set1_ps(scale));
  return Format::kMinimum ? _mm256_sub_ps(x, _mm256_set1_ps(minimum)) : x;
}

template <typename Format>
void dequantize_block(const uint8_t* block, uint16_t* out) {
  constexpr int kGroups = Format::kValues / Format::kGroup;
  alignas(32) uint8_t q[Format::kValues];
  float scale[kGroups * kPanelRows], minimum[kGroups * kPanelRows];
  unpack_values<Format>(block, q);
  unpack_scales<Format>(block, scale, minimum);
  for (int i = 0; i < Format::kValues; i += 16) {
    const int group = i / Format::kGroup * kPanelRows;
    const float low = Format::kMinimum ? minimum[group] : 0;
    store_bf16(values_of<Format>(q + i, scale[group], low),
               values_of<Format>(q + i + 8, scale[group], low), out + i);
  }
}

void dequantize_other(DType type, const void* blocks, int64_t values, uint16_t* out) {
  if (type == DType::bf16) {
    std::memcpy(out, blocks, values * sizeof(*out));
    return;
  }
  const BlockShape shape = block_shape(type);
  float part[kPart];
  for (int64_t i = 0; i < values; i += kPart) {
    const int64_t n = values - i < kPart ? values - i : kPart;
    dequantize_row(type, static_cast<const std::byte*>(blocks) + i / shape.values * shape.bytes,
                   part, n);
    quantize_row(DType::bf16, part, out + i, n);
  }
}

}  // namespace

void dequantize_bf16(DType type, const void* blocks, int64_t values, uint16_t* out) {
  const auto* b = static_cast<const uint8_t*>(blocks);
  const bool integers = with_format(type, [&]<typename Format>() {
    for (int64_t i = 0; i < values; i += Format::kValues, b += Format::kBytes)
      dequantize_block<Format>(b, out + i);
  });
  if (!integers) dequantize_other(type, blocks, values, out);
}

}  // namespace potluck::cpu::avx2
