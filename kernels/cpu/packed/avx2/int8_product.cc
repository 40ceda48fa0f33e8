// Products of integers of 4, 5 and 6 bits by VPMADDUBSW: out = Σ_groups dx · scale · Σ (q −
// zero) · xq.
//
// x is int8 in blocks of 32 with a scale each. W is unsigned bytes q; the zero point costs nothing,
// as the 32-bit sums start at −zero · Σ xq. Sums of two products have 16 bits and wait there for
// others: 16 · 15 · 127, 8 · 31 · 127 and 4 · 63 · 127 fit, a whole group of 4 bits, a half of one
// of 5 or of 6.
//
// A tile is 4 rows × 16 columns = 8 accumulators of int16. Best in cache: 218 GOP/s a core for 4
// bits, 201 for 5, 147 for 6, where VPMADDWD reaches 135 (Zen 3, 2026-11-27).
#include "kernels/cpu/packed/avx2.h"
#include "kernels/cpu/packed/avx2/grid_panel.h"
#include "kernels/cpu/packed/avx2/multiply.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr float kReach = 127.0f;

// A packed row is int8 q[K], f32 scale[K / 32], then for each group f32 scale · Σ q where the
// format has a minimum, else i32 −zero · Σ q, where its sums start.
template <typename Format_>
struct Kernel {
  using Format = Format_;
  static constexpr int kStepBytes = 4 * kPanelRows;
  static constexpr size_t kValueBytes = Format::kGroup * kPanelRows;
  static constexpr size_t kGroupBytes = kValueBytes + kScaleBytes<Format>;
  static constexpr int kSteps = Format::kGroup / 4, kGroups = kBlock / Format::kGroup;
  static constexpr int kBits = kBytesBits<Format>;
  static constexpr int kTogether = 8 >> (kBits - 4);  // steps whose sums fit 16 bits
  static_assert(4 * kTogether / 2 * ((1 << kBits) - 1) * 127 <= INT16_MAX);

  static constexpr int64_t scales_at(int64_t columns) { return columns; }
  static constexpr int64_t extras_at(int64_t columns) { return columns + columns / kBlock * 4; }

  static size_t row_bytes(int64_t columns) {
    return odd_lines(extras_at(columns) + columns / Format::kGroup * 4);
  }

  static void pack_row(const float* x, int64_t columns, std::byte* packed) {
    std::byte* scales = packed + scales_at(columns);
    std::byte* extras = packed + extras_at(columns);
    for (int64_t i = 0; i < columns; i += kBlock, scales += 4) {
      const QuantizedBlock block = quantize_block(x + i, kBlock, kReach);
      const __m256i low = to_int16(block.values[0], block.values[1]);
      const __m256i high = to_int16(block.values[2], block.values[3]);
      store_32(packed + i, _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8));
      std::memcpy(scales, &block.scale, 4);
      for (int g = 0; g < kGroups; ++g, extras += 4)
        write_extra(sum_of(block, g, kGroups), block.scale, extras);
    }
  }

  template <int kRows>
  static POTLUCK_INLINE_256 void dots(const std::byte* values, const std::byte* const* x,
                                      int64_t columns, int64_t group, __m256i (&dots)[kRows][2]) {
    for (int r = 0; r < kRows; ++r) {
      int32_t start = 0;
      if constexpr (!Format::kMinimum)
        std::memcpy(&start, x[r] + extras_at(columns) + group * 4, 4);
      dots[r][0] = dots[r][1] = _mm256_set1_epi32(start);
    }
    for (int step = 0; step < kSteps; step += kTogether)
      add_steps<kRows>(values + step * kStepBytes, x, group * Format::kGroup + 4 * step, dots);
  }

 private:
  static void write_extra(int32_t sum, float scale, std::byte* extra) {
    if constexpr (Format::kMinimum) {
      const float scaled = scale * sum;
      std::memcpy(extra, &scaled, 4);
    } else {
      const int32_t start = -Format::kZero * sum;
      std::memcpy(extra, &start, 4);
    }
  }

  template <int kRows>
  static POTLUCK_INLINE_256 void add_steps(const std::byte* values, const std::byte* const* x,
                                           int64_t offset, __m256i (&dots)[kRows][2]) {
    __m256i short_dots[kRows][2];
    for (int r = 0; r < kRows; ++r) short_dots[r][0] = short_dots[r][1] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int step = 0; step < kTogether; ++step) {
      const std::byte* w = values + step * kStepBytes;
      const __m256i w0 = load_32(w), w1 = load_32(w + 32);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        int32_t four;
        std::memcpy(&four, x[r] + offset + 4 * step, 4);
        const __m256i fours = _mm256_set1_epi32(four);
        add_int16(short_dots[r][0], _mm256_maddubs_epi16(w0, fours));
        add_int16(short_dots[r][1], _mm256_maddubs_epi16(w1, fours));
      }
    }
    const __m256i ones = _mm256_set1_epi16(1);
    for (int r = 0; r < kRows; ++r)
      for (int side = 0; side < 2; ++side)
        dots[r][side] =
            _mm256_add_epi32(dots[r][side], _mm256_madd_epi16(short_dots[r][side], ones));
  }
};

template <typename Format_>
struct QuadLayout {
  using Format = Format_;
  static constexpr size_t kValueBytes = Kernel<Format>::kValueBytes;

  static POTLUCK_INLINE_256 __m256i place(__m256i quad) { return quad; }
  static POTLUCK_INLINE_256 __m256i with_sign(__m256i bytes) { return bytes; }
  static POTLUCK_INLINE_256 __m256i arrange(__m256i quad) { return quad; }
  static POTLUCK_INLINE_256 void put(__m256i quad, int index, int side, std::byte* group) {
    store_32(group + index * kQuadBytes + 32 * side, quad);
  }
};

template <typename Format>
constexpr PackedProduct kProduct = {"int8",
                                    Format::kGroup,
                                    Kernel<Panel<Format>>::row_bytes,
                                    Kernel<Panel<Format>>::pack_row,
                                    panel_bytes<QuadLayout<Format>>,
                                    pack_panel<QuadLayout<Format>>,
                                    multiply<Kernel<Panel<Format>>>,
                                    Numbers::integers,
                                    stored_bytes<Format>,
                                    store_panel<QuadLayout<Format>>,
                                    multiply_stored<Kernel<Panel<Format>>, QuadLayout<Format>>};

}  // namespace

const PackedProduct* int8_product(DType type) {
  return product_of_format(type, []<typename Format>() -> const PackedProduct* {
    if constexpr (kBytesBits<Format> <= 6)
      return &kProduct<Format>;
    else
      return nullptr;
  });
}

}  // namespace potluck::cpu::avx2
