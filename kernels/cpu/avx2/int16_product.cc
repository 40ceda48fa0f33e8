// Products of integer blocks by VPMADDWD: out = Σ_groups dx · scale · Σ (q − zero) · xq.
//
// x: int16 in blocks of 32 with a scale each; W: q − zero as int16. Bytes would need VPMADDUBSW,
// whose 16-bit sums overflow on 8-bit weights; its way around that (signs moved to x) costs as many
// instructions as this, which keeps 16 bits of x: so every product of AVX2 is a fine one.
//
// Tiles: 4 rows × 16 columns = 8 accumulators of int32 of the 16 registers; the float sums live in
// L1. 32 · 128 · 32767 fits 32 bits. Best in cache: 207 GOP/s a core, where FMA in f32 reaches 143
// (Zen 5, 2026-11-24).
#include <cstring>

#include "kernels/cpu/avx2/formats.h"
#include "kernels/cpu/avx2/products.h"
#include "kernels/cpu/avx2/tiles.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr int kRowsMax = 4;
constexpr int kBlock = 32;  // values of x that share a scale
constexpr float kReach = 32767.0f;

// A packed row: int16 q[K], f32 scale[K / 32], then f32 scale · Σ q of each group, for formats with
// a minimum.
template <typename Format>
size_t row_bytes(int64_t columns) {
  const auto k = static_cast<size_t>(columns);
  return odd_lines(2 * k + k / kBlock * 4 + k / Format::kGroup * 4);
}

int64_t scales_at(int64_t columns) {
  return 2 * columns;
}

int64_t sums_at(int64_t columns) {
  return 2 * columns + columns / kBlock * 4;
}

float largest(const float* x) {
  float most = 0;
  for (int i = 0; i < kBlock; ++i) {
    const float size = x[i] < 0 ? -x[i] : x[i];
    most = size > most ? size : most;
  }
  return most;
}

template <typename Format>
void pack_row(const float* x, int64_t columns, std::byte* packed) {
  for (int64_t i = 0; i < columns; i += kBlock) {
    const float most = largest(x + i), scale = most / kReach;
    const __m256 inverse = _mm256_set1_ps(most > 0 ? kReach / most : 0.0f);
    alignas(32) int32_t q[kBlock];
    for (int j = 0; j < kBlock; j += 8)
      _mm256_store_si256(reinterpret_cast<__m256i*>(q + j),
                         _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i + j), inverse)));
    int16_t narrow[kBlock];
    for (int j = 0; j < kBlock; ++j) narrow[j] = static_cast<int16_t>(q[j]);
    std::memcpy(packed + i * 2, narrow, sizeof(narrow));
    std::memcpy(packed + scales_at(columns) + i / kBlock * 4, &scale, 4);
    for (int g = 0; g < kBlock / Format::kGroup; ++g) {
      int32_t sum = 0;
      for (int j = 0; j < Format::kGroup; ++j) sum += q[g * Format::kGroup + j];
      const float scaled = scale * static_cast<float>(sum);
      std::memcpy(packed + sums_at(columns) + (i / Format::kGroup + g) * 4, &scaled, 4);
    }
  }
}

// A panel: for each group int16 [kGroup / 2][32 columns][2], then f32 scale[32], then f32
// minimum[32] where the format has one.
template <typename Format>
constexpr size_t kGroupBytes = Format::kGroup* kColumns * 2 + kScaleBytes<Format>;

template <typename Format>
size_t panel_bytes(int64_t columns) {
  return static_cast<size_t>(columns / Format::kGroup) * kGroupBytes<Format>;
}

// 16 values of 8 columns from `column` on.
template <typename Format>
POTLUCK_INLINE_256 void write_values(const Stage<Format>& stage, int first, int column,
                                     std::byte* to) {
  __m256i rows[8];
  for (int c = 0; c < 8; ++c) {
    const auto* bytes = reinterpret_cast<const __m128i*>(stage.q[column + c] + first);
    rows[c] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_load_si128(bytes)),
                               _mm256_set1_epi16(Format::kZero));
  }
  transpose_8x8(rows);
  for (int pair = 0; pair < 8; ++pair)
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + pair * kColumns * 4 + column * 4),
                       rows[pair]);
}

template <typename Format>
void write_groups(const Stage<Format>& stage, std::byte* panel) {
  for (int g = 0; g < Stage<Format>::kGroups; ++g) {
    std::byte* to = panel + static_cast<size_t>(g) * kGroupBytes<Format>;
    for (int first = 0; first < Format::kGroup; first += 16)
      for (int column = 0; column < kColumns; column += 8)
        write_values(stage, g * Format::kGroup + first, column, to + first / 2 * kColumns * 4);
    to += Format::kGroup * kColumns * 2;
    write_scales(stage, g, to);
  }
}

template <typename Format>
void pack_panel(const WeightView& w, std::byte* panel) {
  pack_blocks<Format, kGroupBytes<Format>>(w, panel, write_groups<Format>);
}

// The integer sums of one group over 16 columns from `panel` on.
template <typename Format, int kRows>
POTLUCK_INLINE_256 void group_dots(const std::byte* panel, const std::byte* const* x,
                                   int64_t offset, __m256i (&dots)[kRows][2]) {
  for (int r = 0; r < kRows; ++r) dots[r][0] = dots[r][1] = _mm256_setzero_si256();
#pragma GCC unroll 1  // unrolled, all products would be taken before their sums, and spilled
  for (int pair = 0; pair < Format::kGroup / 2; ++pair) {
    const auto* w = reinterpret_cast<const __m256i*>(panel + pair * kColumns * 4);
    const __m256i w0 = _mm256_load_si256(w), w1 = _mm256_load_si256(w + 1);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      int32_t two;
      std::memcpy(&two, x[r] + offset + 4 * pair, 4);
      const __m256i twos = _mm256_set1_epi32(two);
      dots[r][0] = _mm256_add_epi32(dots[r][0], _mm256_madd_epi16(w0, twos));
      dots[r][1] = _mm256_add_epi32(dots[r][1], _mm256_madd_epi16(w1, twos));
    }
  }
}

POTLUCK_INLINE_256 __m256 broadcast(const std::byte* p) {
  float value;
  std::memcpy(&value, p, 4);
  return _mm256_set1_ps(value);
}

// sums[r][·] += dx · scale · (the integer sums of one group).
template <typename Format, int kRows>
POTLUCK_INLINE_256 void add_group(const PanelProduct& p, const std::byte* const* x, int64_t group,
                                  int column, __m256 (&sums)[kRows][2]) {
  const std::byte* panel = p.panel + static_cast<size_t>(group) * kGroupBytes<Format>;
  __m256i dots[kRows][2];
  group_dots<Format, kRows>(panel + column * 4, x, group * Format::kGroup * 2, dots);
  const auto* scales =
      reinterpret_cast<const float*>(panel + Format::kGroup * kColumns * 2) + column;
  for (int side = 0; side < 2; ++side) {
    const __m256 scale = _mm256_load_ps(scales + 8 * side);
    for (int r = 0; r < kRows; ++r) {
      const __m256 dx =
          broadcast(x[r] + scales_at(p.columns) + group * Format::kGroup / kBlock * 4);
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[r][side]), dx);
      sums[r][side] = _mm256_fmadd_ps(scaled, scale, sums[r][side]);
      if constexpr (Format::kMinimum)
        sums[r][side] =
            _mm256_fnmadd_ps(broadcast(x[r] + sums_at(p.columns) + group * 4),
                             _mm256_load_ps(scales + kColumns + 8 * side), sums[r][side]);
    }
  }
}

template <typename Format, int kRows>
void multiply_tile(const PanelProduct& p, int64_t first, int column) {
  __m256 sums[kRows][2];
  for (int r = 0; r < kRows; ++r) start_columns(p, first + r, column, sums[r]);
  const TileRows<kRows> x(p, first);
  for (int64_t g = 0; g < p.columns / Format::kGroup; ++g)
    add_group<Format, kRows>(p, x.at, g, column, sums);
  for (int r = 0; r < kRows; ++r) store_columns(p, first + r, column, sums[r]);
}

template <typename Format>
void multiply(const PanelProduct& p) {
  const auto parts = static_cast<size_t>(tile_count(p.rows, kRowsMax));
  size_t part = 0;
  each_tile<kRowsMax>(p.rows, [&]<int kRows>(int64_t first) {
    prefetch(p, part++, parts);
    for (int column = 0; column < p.count; column += kHalf)
      multiply_tile<Format, kRows>(p, first, column);
  });
}

template <typename Format>
constexpr PackedProduct kProduct = {"int16",          Format::kGroup,      row_bytes<Format>,
                                    pack_row<Format>, panel_bytes<Format>, pack_panel<Format>,
                                    multiply<Format>, Numbers::integers};

}  // namespace

const PackedProduct* int16_product(DType type) {
  return product_of_format(type, []<typename Format>() { return &kProduct<Format>; });
}

}  // namespace potluck::cpu::avx2
