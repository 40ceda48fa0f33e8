// Products of integer blocks by VPDPBUSD: out = Σ_groups dx · scale · Σ (q − zero) · xq.
//
// x is int8 in blocks of 32 with a scale each (one scale for a row would let one outlier spoil
// 2,816 values). W is unsigned bytes, so the zero point costs nothing: the 32-bit sums start at
// −zero · Σ xq. A minimum costs one more fused multiply-add a group. Nor does it cost anything to
// make floats of the sums: they start 3 · 2²² higher, whose bits as a float count ones, so that
// they are floats already; dx · (lift + Σ) − dx · lift is one fused operation, exact since dx keeps
// 22 bits. (Two terms have sums too long for that.)
//
// A tile is 6 rows × 32 columns = 12 accumulators of int32 and 12 float sums in registers; a k step
// is 2 loads of W and 6 broadcasts of x for 12 products. Rows are cut evenly (17 = 6 + 6 + 5),
// since a thin tile waits for its own sums. Best, Q8_0 in cache: 0.91 of 1.16 TOP/s a core, Q4_K
// 0.82 (Zen 5, 2026-11-24); 8 rows spill and reach 0.83.
#include <bit>
#include <cstring>

#include "kernels/cpu/packed/avx512.h"
#include "kernels/cpu/packed/avx512/grid_panel.h"
#include "kernels/cpu/packed/avx512/int8_layout.h"
#include "kernels/cpu/packed/avx512/quantize.h"
#include "kernels/cpu/packed/avx512/store_panel.h"
#include "kernels/cpu/packed/avx512/stored_panel.h"
#include "kernels/cpu/packed/avx512/tiles.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx512 {
namespace {

constexpr int kRowsMax = 6;     // in a tile
constexpr int64_t kPiece = 16;  // groups of a stored panel that stay in L1 for all rows: 17 KB
constexpr float kLift = 0x1.8p23f;

template <typename Format, int kTerms>
size_t row_bytes(int64_t columns) {
  const int64_t lifts = kTerms == 1 ? columns / kBlock * 4 : 0;
  return odd_lines(lifts_at<Format, kTerms>(columns) + lifts);
}

POTLUCK_INLINE_512 void store_int8(std::byte* to, __m512i q) {
  store_16(to, _mm512_cvtepi32_epi8(q));
}

// Stores the terms of 16 values, `columns` bytes apart.
template <int kTerms>
POTLUCK_INLINE_512 void store_terms(std::byte* to, int64_t columns, __m512i q) {
  if constexpr (kTerms == 1) return store_int8(to, q);
  const __m512i high = _mm512_srai_epi32(_mm512_add_epi32(q, _mm512_set1_epi32(128)), 8);
  store_int8(to, high);
  store_int8(to + columns, _mm512_sub_epi32(q, _mm512_slli_epi32(high, 8)));
}

// Integer sums start there, but for the zero point.
template <int kTerms>
constexpr int32_t kStart = kTerms == 1 ? std::bit_cast<int32_t>(kLift) : 0;

template <typename Format, int kTerms>
void write_extra(int32_t sum, float scale, std::byte* extra) {
  if constexpr (Format::kMinimum) {
    const float scaled = scale * sum;
    std::memcpy(extra, &scaled, 4);
  } else {
    const int32_t start = kStart<kTerms> - Format::kZero * sum;
    std::memcpy(extra, &start, 4);
  }
}

// Cuts a scale to 22 bits, so that times kLift it is exact.
float short_scale(float scale) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scale) & ~3u);
}

template <typename Format, int kTerms>
void pack_row(const float* x, int64_t columns, std::byte* packed) {
  constexpr float kReach = kTerms == 1 ? 127.0f : 127.0f * 256.0f;
  std::byte* scales = packed + scales_at<kTerms>(columns);
  std::byte* extra = packed + extras_at<kTerms>(columns);
  std::byte* lifts = packed + lifts_at<Format, kTerms>(columns);
  for (int64_t i = 0; i < columns; i += kBlock) {
    const QuantizedBlock block = quantize_block(x + i, kReach);
    const float scale = kTerms == 1 ? short_scale(block.scale) : block.scale;
    std::memcpy(scales + i / kBlock * 4, &scale, 4);
    if constexpr (kTerms == 1) {
      const float lift = scale * kLift;
      std::memcpy(lifts + i / kBlock * 4, &lift, 4);
    }
    int32_t sums[2];
    for (int half = 0; half < 2; ++half) {
      store_terms<kTerms>(packed + i + 16 * half, columns, block.halves[half]);
      sums[half] = _mm512_reduce_add_epi32(block.halves[half]);
    }
    if constexpr (Format::kGroup == kBlock) {
      write_extra<Format, kTerms>(sums[0] + sums[1], scale, extra);
      extra += 4;
    } else {
      write_extra<Format, kTerms>(sums[0], scale, extra);
      write_extra<Format, kTerms>(sums[1], scale, extra + 4);
      extra += 8;
    }
  }
}

// dots[r][·] += one term of a group's values · its bytes of W.
template <typename Format, int kRows>
POTLUCK_INLINE_512 void add_term(const std::byte* panel, const std::byte* const* x, int64_t offset,
                                 __m512i (&dots)[kRows][2]) {
#pragma GCC unroll 8
  for (int k = 0; k < Format::kGroup / 4; ++k) {
    const __m512i w0 = _mm512_load_si512(panel + k * 128);
    const __m512i w1 = _mm512_load_si512(panel + k * 128 + 64);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int32_t four;
      std::memcpy(&four, x[r] + offset + 4 * k, 4);
      const __m512i fours = _mm512_set1_epi32(four);
      dots[r][0] = _mm512_dpbusd_epi32(dots[r][0], w0, fours);
      dots[r][1] = _mm512_dpbusd_epi32(dots[r][1], w1, fours);
    }
  }
}

// dots[r][·] = the integer sums of one group. With two terms the high ones are summed first, then
// multiplied by 256, then the low ones are added.
template <typename Format, int kRows, int kTerms>
POTLUCK_INLINE_512 void group_dots(const PanelProduct& p, const std::byte* const* x, int64_t group,
                                   const std::byte* panel, __m512i (&dots)[kRows][2]) {
  const int64_t offset = group * Format::kGroup;
  if constexpr (kTerms == 2) {
    for (int r = 0; r < kRows; ++r) dots[r][0] = dots[r][1] = _mm512_setzero_si512();
    add_term<Format>(panel, x, offset, dots);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    int32_t from = kStart<kTerms>;
    if constexpr (!Format::kMinimum)
      std::memcpy(&from, x[r] + extras_at<kTerms>(p.columns) + group * 4, 4);
    const __m512i start = _mm512_set1_epi32(from);
    for (int side = 0; side < 2; ++side)
      dots[r][side] =
          kTerms == 1 ? start : _mm512_add_epi32(_mm512_slli_epi32(dots[r][side], 8), start);
  }
  add_term<Format>(panel, x, offset + (kTerms - 1) * p.columns, dots);
}

// Returns dx · dots.
template <typename Format, int kTerms>
POTLUCK_INLINE_512 __m512 scale_dots(const PanelProduct& p, const std::byte* x, int64_t group,
                                     __m512i dots) {
  const int64_t block = group * Format::kGroup / kBlock;
  const __m512 dx = broadcast(x + scales_at<kTerms>(p.columns) + block * 4);
  if constexpr (kTerms == 2) return _mm512_mul_ps(_mm512_cvtepi32_ps(dots), dx);
  const __m512 lift = broadcast(x + lifts_at<Format, kTerms>(p.columns) + block * 4);
  return _mm512_fmsub_ps(_mm512_castsi512_ps(dots), dx, lift);
}

// sums[r][·] += dx · scale · (the integer sums of one group, whose columns of W are at `panel` and
// their scales behind).
template <typename Format, typename Chunk, int kRows, int kTerms>
POTLUCK_INLINE_512 void add_group(const PanelProduct& p, const std::byte* const* x, int64_t group,
                                  const std::byte* panel, __m512 (&sums)[kRows][2]) {
  __m512i dots[kRows][2];
  group_dots<Format, kRows, kTerms>(p, x, group, panel, dots);
  const std::byte* scales = panel + Format::kGroup * kColumns;
  for (int side = 0; side < 2; ++side) {
    const __m512 scale = Chunk::scale(scales, side);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512 scaled = scale_dots<Format, kTerms>(p, x[r], group, dots[r][side]);
      sums[r][side] = _mm512_fmadd_ps(scaled, scale, sums[r][side]);
      if constexpr (Format::kMinimum) {
        const __m512 sum = broadcast(x[r] + extras_at<kTerms>(p.columns) + group * 4);
        sums[r][side] = _mm512_fnmadd_ps(sum, Chunk::minimum(scales, side), sums[r][side]);
      }
    }
  }
}

// Each chunk but the first goes on from the sums in out.
template <typename Format, int kRows, int kTerms, typename Chunk>
void multiply_tile(const PanelProduct& p, const Chunk& chunk, int64_t first, Prefetch& prefetch) {
  __m512 sums[kRows][2];
  for (int r = 0; r < kRows; ++r)
    if (chunk.first == 0)
      start_columns(p, first + r, sums[r]);
    else
      load_columns(p, first + r, sums[r]);
  const TileRows<kRows> x(p, first);
  for (int64_t g = 0; g < chunk.groups; ++g) {
    prefetch.step();
    add_group<Format, Chunk, kRows, kTerms>(p, x.at, chunk.first + g, chunk.group(g), sums);
  }
  for (int r = 0; r < kRows; ++r) store_columns(p, first + r, sums[r]);
}

template <typename Format, int kTerms>
void multiply(const PanelProduct& p) {
  Prefetch prefetch(p, tile_count(p.rows, kRowsMax) * p.columns / Format::kGroup);
  const PanelChunk<Format> whole{p.panel, 0, p.columns / Format::kGroup};
  each_tile<kRowsMax>(p.rows, [&]<int kRows>(int64_t first) {
    multiply_tile<Format, kRows, kTerms>(p, whole, first, prefetch);
  });
}

template <typename Format>
void multiply_stored(const PanelProduct& p) {
  Prefetch prefetch(p, tile_count(p.rows, kRowsMax) * p.columns / Format::kGroup);
  const auto body = [&](const auto& chunk) {
    each_tile<kRowsMax>(p.rows, [&]<int kRows>(int64_t first) {
      multiply_tile<Panel<Format>, kRows, 1>(p, chunk, first, prefetch);
    });
  };
  if constexpr (kIsGrid<Format>)
    each_grid_chunk<Format>(p.panel, p.columns, body);
  else
    each_chunk<Format>(p.panel, p.columns, kPiece, body);
}

template <typename Format, int kTerms>
constexpr PackedProduct kProduct = {kTerms == 2 ? "int8 fine" : "int8",
                                    Format::kGroup,
                                    row_bytes<Panel<Format>, kTerms>,
                                    pack_row<Panel<Format>, kTerms>,
                                    panel_bytes<Format>,
                                    pack_panel<Format>,
                                    multiply<Panel<Format>, kTerms>,
                                    Numbers::integers,
                                    kTerms == 1 ? stored_bytes<Format> : nullptr,
                                    kTerms == 1 ? store_panel<Format> : nullptr,
                                    kTerms == 1 ? multiply_stored<Format> : nullptr};

}  // namespace

const PackedProduct* int8_product(DType type, bool fine) {
  return product_of_format(type, [fine]<typename Format>() {
    return fine ? &kProduct<Format, 2> : &kProduct<Format, 1>;
  });
}

}  // namespace potluck::cpu::avx512
