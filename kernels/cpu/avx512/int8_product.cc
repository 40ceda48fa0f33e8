// Products of integer blocks by VPDPBUSD: out = Σ_groups dx · scale · Σ (q − zero) · xq.
//
// x: int8 in blocks of 32 with a scale each (scales a row wide would let one outlier spoil 2,816
// values). W: unsigned bytes, so the zero point costs nothing: the 32-bit sums start at
// −zero · Σ xq. A minimum costs one more fused multiply-add a group.
//
// Tiles: 6 rows × 32 columns = 12 accumulators of int32 and 12 float sums in registers; a k step is
// 2 loads of W and 6 broadcasts of x for 12 products. Rows are cut evenly (17 = 6 + 6 + 5), since a
// thin tile waits for its own sums. Best, Q8_0 in cache: 0.91 of 1.16 TOP/s a core, Q4_K 0.82
// (Zen 5, 2026-11-24); 8 rows spill and reach 0.83.
#include <cstring>

#include "kernels/cpu/avx512/formats.h"
#include "kernels/cpu/avx512/products.h"
#include "kernels/cpu/avx512/transpose.h"

namespace potluck::cpu::avx512 {
namespace {

constexpr int kRowsMax = 6;   // of a tile
constexpr int kBlock = 32;    // values of x that share a scale
constexpr int kColumns = 32;  // of a tile: a panel's

size_t padded(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// A packed row: int8 q[K], then f32 scale[K / 32], then for each group i32 −zero · Σ q, or f32
// scale · Σ q where the format has a minimum.
template <typename Format>
size_t row_bytes(int64_t columns) {
  const auto k = static_cast<size_t>(columns);
  return padded(k + k / kBlock * 4 + k / Format::kGroup * 4);
}

const float* scales_of(const std::byte* row, int64_t columns) {
  return reinterpret_cast<const float*>(row + columns);
}

const std::byte* extras_of(const std::byte* row, int64_t columns) {
  return row + columns + columns / kBlock * 4;
}

// q = round(x · 127 / max|x|), 16 values a half.
struct QuantizedBlock {
  __m512i halves[2];
  float scale;
};

POTLUCK_INLINE_512 QuantizedBlock quantize_block(const float* x) {
  const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
  const float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
  const __m512 inverse = _mm512_set1_ps(most > 0 ? 127.0f / most : 0.0f);
  return {{_mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)),
           _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse))},
          most / 127.0f};
}

template <typename Format>
void write_extra(int32_t sum, float scale, std::byte* extra) {
  if constexpr (Format::kMinimum) {
    const float scaled = scale * static_cast<float>(sum);
    std::memcpy(extra, &scaled, 4);
  } else {
    const int32_t start = -Format::kZero * sum;
    std::memcpy(extra, &start, 4);
  }
}

template <typename Format>
void pack_row(const float* x, int64_t columns, std::byte* packed) {
  std::byte* scales = packed + columns;
  std::byte* extra = scales + columns / kBlock * 4;
  for (int64_t i = 0; i < columns; i += kBlock) {
    const QuantizedBlock block = quantize_block(x + i);
    std::memcpy(scales + i / kBlock * 4, &block.scale, 4);
    int32_t sums[2];
    for (int half = 0; half < 2; ++half) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(packed + i + 16 * half),
                       _mm512_cvtepi32_epi8(block.halves[half]));
      sums[half] = _mm512_reduce_add_epi32(block.halves[half]);
    }
    if constexpr (Format::kGroup == kBlock) {
      write_extra<Format>(sums[0] + sums[1], block.scale, extra);
      extra += 4;
    } else {
      write_extra<Format>(sums[0], block.scale, extra);
      write_extra<Format>(sums[1], block.scale, extra + 4);
      extra += 8;
    }
  }
}

// A panel: for each group the bytes [kGroup / 4][32 columns][4], then f32 scale[32], then f32
// minimum[32] where the format has one.
template <typename Format>
constexpr size_t kGroupBytes = static_cast<size_t>(Format::kGroup* kColumns +
                                                   kColumns * 4 * (Format::kMinimum ? 2 : 1));

template <typename Format>
size_t panel_bytes(int64_t columns) {
  return static_cast<size_t>(columns / Format::kGroup) * kGroupBytes<Format>;
}

// One stored block of each of 32 rows of W.
template <typename Format>
struct Stage {
  static constexpr int kGroups = Format::kValues / Format::kGroup;
  alignas(64) uint8_t q[kColumns][Format::kValues];
  alignas(64) float scale[kGroups][kColumns];
  alignas(64) float minimum[kGroups][kColumns];
};

template <typename Format>
POTLUCK_INLINE_512 void write_groups(const Stage<Format>& stage, std::byte* panel) {
  constexpr int kSteps = Format::kGroup / 4;
  for (int first = 0; first < Format::kValues; first += kBlock)
    for (int side = 0; side < 2; ++side) {
      __m512i dwords[8];
      transpose_16x8(reinterpret_cast<const std::byte*>(stage.q[16 * side]) + first,
                     Format::kValues, dwords);
      for (int j = 0; j < 8; ++j) {
        const int group = first / Format::kGroup + j / kSteps;
        std::byte* to = panel + group * kGroupBytes<Format> + j % kSteps * 4 * kColumns + 64 * side;
        _mm512_store_si512(to, dwords[j]);
      }
    }
  for (int g = 0; g < Stage<Format>::kGroups; ++g) {
    std::byte* to = panel + g * kGroupBytes<Format> + Format::kGroup * kColumns;
    std::memcpy(to, stage.scale[g], sizeof(stage.scale[g]));
    if constexpr (Format::kMinimum)
      std::memcpy(to + sizeof(stage.scale[g]), stage.minimum[g], sizeof(stage.minimum[g]));
  }
}

template <typename Format>
void pack_panel(const WeightView& w, std::byte* panel) {
  Stage<Format> stage;
  if (w.rows < kColumns) std::memset(&stage, 0, sizeof(stage));
  const int64_t blocks = w.columns / Format::kValues;
  const auto* bytes = static_cast<const uint8_t*>(w.blocks);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t c = 0; c < w.rows; ++c)
      Format::unpack(bytes + (c * blocks + b) * Format::kBytes, stage.q[c], stage.scale[0] + c,
                     stage.minimum[0] + c);
    write_groups(stage, panel);
    panel += Stage<Format>::kGroups * kGroupBytes<Format>;
  }
}

// sums[r][·] += dx · scale · (the integer sums of one group).
template <typename Format, int kRows>
POTLUCK_INLINE_512 void add_group(const PanelProduct& p, const std::byte* const* x, int64_t group,
                                  __m512 (&sums)[kRows][2]) {
  const std::byte* panel = p.panel + static_cast<size_t>(group) * kGroupBytes<Format>;
  __m512i dots[kRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    int32_t start = 0;
    if (!Format::kMinimum) std::memcpy(&start, extras_of(x[r], p.columns) + group * 4, 4);
    dots[r][0] = dots[r][1] = _mm512_set1_epi32(start);
  }
#pragma GCC unroll 8
  for (int k = 0; k < Format::kGroup / 4; ++k) {
    const __m512i w0 = _mm512_load_si512(panel + k * 128);
    const __m512i w1 = _mm512_load_si512(panel + k * 128 + 64);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int32_t four;
      std::memcpy(&four, x[r] + group * Format::kGroup + 4 * k, 4);
      const __m512i fours = _mm512_set1_epi32(four);
      dots[r][0] = _mm512_dpbusd_epi32(dots[r][0], w0, fours);
      dots[r][1] = _mm512_dpbusd_epi32(dots[r][1], w1, fours);
    }
  }
  const auto* scales = reinterpret_cast<const float*>(panel + Format::kGroup * kColumns);
  for (int side = 0; side < 2; ++side) {
    const __m512 scale = _mm512_load_ps(scales + 16 * side);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float dx = scales_of(x[r], p.columns)[group * Format::kGroup / kBlock];
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[r][side]), _mm512_set1_ps(dx));
      sums[r][side] = _mm512_fmadd_ps(scaled, scale, sums[r][side]);
      if constexpr (Format::kMinimum) {
        float sum;
        std::memcpy(&sum, extras_of(x[r], p.columns) + group * 4, 4);
        const __m512 minimum = _mm512_load_ps(scales + kColumns + 16 * side);
        sums[r][side] = _mm512_fnmadd_ps(_mm512_set1_ps(sum), minimum, sums[r][side]);
      }
    }
  }
}

template <typename Format, int kRows>
void multiply_tile(const PanelProduct& p, int64_t first, Prefetch& prefetch) {
  __m512 sums[kRows][2] = {};
  for (int64_t g = 0; g < p.columns / Format::kGroup; ++g) {
    prefetch.step();
    add_group<Format, kRows>(p, p.x + first, g, sums);
  }
  for (int r = 0; r < kRows; ++r)
    store_columns(p.out + (first + r) * p.out_stride, p.count, sums[r]);
}

template <typename Format>
void multiply(const PanelProduct& p) {
  Prefetch prefetch(p, tile_count(p.rows, kRowsMax) * p.columns / Format::kGroup);
  each_tile<kRowsMax>(
      p.rows, [&]<int kRows>(int64_t first) { multiply_tile<Format, kRows>(p, first, prefetch); });
}

template <typename Format>
constexpr PackedProduct kProduct = {
    "int8",          row_bytes<Format>, pack_row<Format>, panel_bytes<Format>, pack_panel<Format>,
    multiply<Format>};

}  // namespace

const PackedProduct* int8_product(DType type) {
  switch (type) {
    case DType::q8_0:
      return &kProduct<Q8_0>;
    case DType::q4_0:
      return &kProduct<Q4_0>;
    case DType::q4_1:
      return &kProduct<Q4_1>;
    case DType::q5_0:
      return &kProduct<Q5_0>;
    case DType::q5_1:
      return &kProduct<Q5_1>;
    case DType::q4_k:
      return &kProduct<Q4_K>;
    case DType::q5_k:
      return &kProduct<Q5_K>;
    case DType::q6_k:
      return &kProduct<Q6_K>;
    default:
      return nullptr;
  }
}

}  // namespace potluck::cpu::avx512
