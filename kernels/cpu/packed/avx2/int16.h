// Rows of int16 and their products by VPMADDWD, for integer blocks and for floats alike.
//
// A packed row is int16 q[K], filled up to whole blocks of 32, f32 scale[K / 32], then for formats
// with a minimum f32 scale · Σ q of each block. A panel is, for each group, int16 [kGroup / 2][32
// columns][2], then its scales.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include "kernels/cpu/packed/avx2/multiply.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr size_t kPairBytes = kPanelRows * 2 * sizeof(int16_t);

// kReach is what x reaches, so that the sums of a group fit 32 bits.
template <typename Format_, int kReach>
struct Int16Kernel {
  using Format = Format_;
  static constexpr size_t kValueBytes = Format::kGroup / 2 * kPairBytes;
  static constexpr size_t kGroupBytes = kValueBytes + kScaleBytes<Format>;

  static constexpr int64_t scales_at(int64_t columns) { return blocks_of(columns) * kBlock * 2; }

  static size_t row_bytes(int64_t columns) {
    const int64_t floats = (Format::kMinimum ? 2 : 1) * blocks_of(columns);
    return odd_lines(scales_at(columns) + floats * 4);
  }

  static void pack_row(const float* x, int64_t columns, std::byte* packed) {
    std::byte* scales = packed + scales_at(columns);
    for (int64_t i = 0; i < columns; i += kBlock, scales += 4) {
      const QuantizedBlock block = quantize_block(x + i, columns - i, kReach);
      for (int half = 0; half < 2; ++half)
        store_32(packed + i * 2 + 32 * half,
                 to_int16(block.values[2 * half], block.values[2 * half + 1]));
      std::memcpy(scales, &block.scale, 4);
      if constexpr (Format::kMinimum) {
        static_assert(Format::kGroup == kBlock);
        const float scaled = block.scale * sum_of(block, 0, 1);
        std::memcpy(scales + blocks_of(columns) * 4, &scaled, 4);
      }
    }
  }

  template <int kRows>
  static POTLUCK_INLINE_256 void dots(const std::byte* values, const std::byte* const* x, int64_t,
                                      int64_t group, __m256i (&dots)[kRows][2]) {
    for (int r = 0; r < kRows; ++r) dots[r][0] = dots[r][1] = _mm256_setzero_si256();
    const int64_t offset = group * Format::kGroup * 2;
    for (int pair = 0; pair < Format::kGroup / 2; ++pair) {
      const std::byte* w = values + pair * kPairBytes;
      const __m256i w0 = load_32(w), w1 = load_32(w + 32);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        int32_t two;
        std::memcpy(&two, x[r] + offset + 4 * pair, 4);
        const __m256i twos = _mm256_set1_epi32(two);
        add_int32(dots[r][0], _mm256_madd_epi16(w0, twos));
        add_int32(dots[r][1], _mm256_madd_epi16(w1, twos));
      }
    }
  }
};

}  // namespace
}  // namespace potluck::cpu::avx2
