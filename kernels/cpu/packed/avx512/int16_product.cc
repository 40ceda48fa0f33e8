// Products of floats by VPDPWSSD: out = Σ_groups dx · dw · Σ xq · wq. They serve weights without an
// integer form (BF16, F16, F32 and the rest), attention, and Σ p·E.
//
// x and W are int16 of 14 bits in groups of 32 along K with a scale each, a row of x, a column of
// the panel: 32 · 8191² fits 32 bits. An error of 2⁻¹⁵ of a group's largest value is less than
// bf16's 2⁻⁹ of each value wherever those count, so this serves fine products as well. It asks for
// no instruction beyond VNNI, and where a processor has VDPBF16PS too it is as fast (Zen) or slower
// (Xeon: half of this).
//
// Tiles are as int8_product.cc's, 6 rows × 32 columns in 12 accumulators and 12 float sums.
#include <cstring>

#include "kernels/cpu/packed/avx512.h"
#include "kernels/cpu/packed/avx512/quantize.h"
#include "kernels/cpu/packed/avx512/tiles.h"
#include "kernels/cpu/packed/avx512/transpose.h"
#include "kernels/cpu/packed/formats.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx512 {
namespace {

constexpr int kRowsMax = 6;
constexpr int kColumns = kPanelRows;
constexpr int64_t kGroup = kBlock;
constexpr float kReach = 8191.0f;
constexpr size_t kPairBytes = kColumns * 2 * sizeof(int16_t);
constexpr size_t kValueBytes = kGroup / 2 * kPairBytes;
constexpr size_t kGroupBytes = kValueBytes + kColumns * sizeof(float);

int64_t groups_of(int64_t columns) {
  return (columns + kGroup - 1) / kGroup;
}

// A packed row is int16 q[K], filled up to whole groups, then f32 scale[groups].
int64_t scales_at(int64_t columns) {
  return groups_of(columns) * kGroup * 2;
}

size_t row_bytes(int64_t columns) {
  return odd_lines(groups_of(columns) * (kGroup * 2 + 4));
}

POTLUCK_INLINE_512 void store_int16(std::byte* to, const QuantizedBlock& block) {
  for (int half = 0; half < 2; ++half)
    store_32(to + 32 * half, _mm512_cvtepi32_epi16(block.halves[half]));
}

void pack_row(const float* x, int64_t columns, std::byte* packed) {
  std::byte* scales = packed + scales_at(columns);
  for (int64_t i = 0; i < columns; i += kGroup, scales += 4) {
    const QuantizedBlock block = quantize_part(x + i, columns - i, kReach);
    store_int16(packed + i * 2, block);
    std::memcpy(scales, &block.scale, 4);
  }
}

// A panel is, for each group, int16 [16 pairs][32 columns][2], then f32 scale[32].
size_t panel_bytes(int64_t columns) {
  return groups_of(columns) * kGroupBytes;
}

// Quantizes one group of the panel out of [32 rows of W][kStaged] floats.
void write_group(const float* stage, std::byte* group) {
  alignas(64) std::byte q[kColumns][kGroup * 2];
  float scales[kColumns];
  for (int c = 0; c < kColumns; ++c) {
    const QuantizedBlock block = quantize_block(stage + c * kStaged, kReach);
    store_int16(q[c], block);
    scales[c] = block.scale;
  }
  for (int side = 0; side < 2; ++side)
    for (int half = 0; half < 2; ++half) {
      __m512i pairs[8];
      transpose_16x8(q[16 * side] + 32 * half, kGroup * 2, pairs);
      for (int j = 0; j < 8; ++j)
        _mm512_store_si512(group + (8 * half + j) * kPairBytes + 64 * side, pairs[j]);
    }
  std::memcpy(group + kValueBytes, scales, sizeof(scales));
}

void pack_panel(const WeightView& w, std::byte* panel) {
  alignas(64) float stage[kColumns * kStaged];
  if (w.rows < kColumns) std::memset(stage, 0, sizeof(stage));
  for (int64_t first = 0; first < w.columns; first += kStaged) {
    const int64_t n = w.columns - first < kStaged ? w.columns - first : kStaged;
    stage_rows(w, first, n, groups_of(n) * kGroup, stage,
               [&](const std::byte* blocks, int64_t count, float* to) {
                 dequantize_row(w.type, blocks, to, count);
               });
    for (int64_t i = 0; i < n; i += kGroup, panel += kGroupBytes) write_group(stage + i, panel);
  }
}

// dots[r][·] = the integer sums of one group.
template <int kRows>
POTLUCK_INLINE_512 void group_dots(const std::byte* const* x, int64_t offset,
                                   const std::byte* panel, __m512i (&dots)[kRows][2]) {
  for (int r = 0; r < kRows; ++r) dots[r][0] = dots[r][1] = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int k = 0; k < kGroup / 2; ++k) {
    const __m512i w0 = _mm512_load_si512(panel + k * kPairBytes);
    const __m512i w1 = _mm512_load_si512(panel + k * kPairBytes + 64);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, x[r] + offset + 4 * k, 4);
      const __m512i both = _mm512_set1_epi32(pair);
      dots[r][0] = _mm512_dpwssd_epi32(dots[r][0], w0, both);
      dots[r][1] = _mm512_dpwssd_epi32(dots[r][1], w1, both);
    }
  }
}

// sums[r][·] += dx · dw · the integer sums.
template <int kRows>
POTLUCK_INLINE_512 void add_group(const PanelProduct& p, const std::byte* const* x, int64_t group,
                                  __m512 (&sums)[kRows][2]) {
  const std::byte* panel = p.panel + group * kGroupBytes;
  __m512i dots[kRows][2];
  group_dots<kRows>(x, group * kGroup * 2, panel, dots);
  const auto* scales = reinterpret_cast<const float*>(panel + kValueBytes);
  const int64_t dx_at = scales_at(p.columns) + group * 4;
  for (int side = 0; side < 2; ++side) {
    const __m512 dw = _mm512_load_ps(scales + 16 * side);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      float dx;
      std::memcpy(&dx, x[r] + dx_at, 4);
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[r][side]), _mm512_set1_ps(dx));
      sums[r][side] = _mm512_fmadd_ps(scaled, dw, sums[r][side]);
    }
  }
}

template <int kRows>
void multiply_tile(const PanelProduct& p, int64_t first, Prefetch& prefetch) {
  const TileRows<kRows> x(p, first);
  __m512 sums[kRows][2];
  for (int r = 0; r < kRows; ++r) start_columns(p, first + r, sums[r]);
  for (int64_t g = 0; g < groups_of(p.columns); ++g) {
    prefetch.step();
    add_group<kRows>(p, x.at, g, sums);
  }
  for (int r = 0; r < kRows; ++r) store_columns(p, first + r, sums[r]);
}

void multiply(const PanelProduct& p) {
  Prefetch prefetch(p, tile_count(p.rows, kRowsMax) * groups_of(p.columns));
  each_tile<kRowsMax>(p.rows,
                      [&]<int kRows>(int64_t first) { multiply_tile<kRows>(p, first, prefetch); });
}

constexpr PackedProduct kProduct = {"int16",     kGroup,     row_bytes, pack_row,
                                    panel_bytes, pack_panel, multiply,  Numbers::integers};

// 16 columns of values, in f32; past the last row they are zero.
struct ValueSide {
  const ValueRows& rows;
  int first;
  __mmask16 columns = first_lanes(rows.count - first);

  __m512 row(int64_t j) const {
    if (j >= rows.terms) return _mm512_setzero_ps();
    const __m256i bits = _mm256_maskz_loadu_epi16(columns, rows.data + j * rows.stride + first);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }

  // The greatest |value| of each column in a group's rows.
  __m512 most(int64_t group_begin) const {
    __m512 most = _mm512_set1_ps(rows.most);
    if (rows.most == 0)
      for (int64_t j = group_begin; j < group_begin + kGroup; ++j)
        most = _mm512_max_ps(most, _mm512_abs_ps(row(j)));
    return most;
  }
};

// Quantizes one group of rows.
POTLUCK_INLINE_512 void write_values(const ValueSide& side, int64_t begin, std::byte* values,
                                     std::byte* scales) {
  const __m512 most = side.most(begin);
  const __mmask16 any = _mm512_cmp_ps_mask(most, _mm512_setzero_ps(), _CMP_GT_OQ);
  const __m512 inverse = _mm512_maskz_div_ps(any, _mm512_set1_ps(kReach), most);
  _mm512_store_ps(scales, _mm512_mul_ps(most, _mm512_set1_ps(1.0f / kReach)));
  for (int64_t j = 0; j < kGroup; j += 2) {
    const __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(side.row(begin + j), inverse));
    const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(side.row(begin + j + 1), inverse));
    const __m512i pair = _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_slli_epi32(high, 16));
    _mm512_store_si512(values + (j / 2) * kPairBytes, pair);
  }
}

}  // namespace

void pack_value_panel(const ValueRows& values, std::byte* panel) {
  for (int64_t begin = 0; begin < values.terms; begin += kGroup, panel += kGroupBytes)
    for (int side = 0; side < 2; ++side)
      write_values({values, 16 * side}, begin, panel + 64 * side, panel + kValueBytes + 64 * side);
}

const PackedProduct& int16_product() {
  return kProduct;
}

}  // namespace potluck::cpu::avx512
