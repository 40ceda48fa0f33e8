// Products in bf16 by VDPBF16PS: x and W rounded to bf16, sums in f32, pairs of columns at a time.
// For weights without an integer form: BF16 as they are; F16, F32 and the rest are widened and
// rounded as their panel is packed.
#include <cstring>

#include "kernels/cpu/avx512/products.h"
#include "kernels/cpu/avx512/tiles.h"
#include "kernels/cpu/avx512/transpose.h"
#include "kernels/cpu/dequantize.h"

namespace potluck::cpu::avx512 {
namespace {

constexpr int kRowsMax = 8;
constexpr int kColumns = kPanelRows;
constexpr int64_t kStep = 16;   // columns of W that are transposed at a time
constexpr int64_t kPad = 32;    // rows and panels are filled up to: a tile of AMX
constexpr int64_t kWide = 256;  // values widened at a time: a block of any format

int64_t padded_columns(int64_t columns) {
  return (columns + kPad - 1) / kPad * kPad;
}

template <int kTerms>
size_t row_bytes(int64_t columns) {
  return odd_lines(kTerms * bf16_term_bytes(columns));
}

// out[0, padded) = x in bf16, zeros behind.
void round_row(const float* x, int64_t columns, int64_t padded, std::byte* out) {
  for (int64_t i = 0; i < padded; i += 16) {
    const __m256bh rounded =
        _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(first_lanes(columns - i), x + i));
    std::memcpy(out + i * 2, &rounded, sizeof(rounded));
  }
}

template <int kTerms>
void pack_row(const float* x, int64_t columns, std::byte* packed) {
  round_row(x, columns, padded_columns(columns), packed);
  if constexpr (kTerms == 2)
    for (int64_t i = 0; i < columns; i += kWide) {
      const int64_t n = columns - i < kWide ? columns - i : kWide;
      float left[kWide];
      dequantize_row(DType::bf16, packed + i * 2, left, n);
      for (int64_t j = 0; j < n; ++j) left[j] = x[i + j] - left[j];
      round_row(left, n, padded_columns(n), packed + bf16_term_bytes(columns) + i * 2);
    }
}

// [K / 2][32 columns][2] bf16.
size_t panel_bytes(int64_t columns) {
  return static_cast<size_t>(padded_columns(columns)) * kColumns * 2;
}

// 16 columns of W of 32 rows, `stride` bytes apart.
POTLUCK_INLINE_512 void write_pairs(const std::byte* rows, size_t stride, std::byte* panel) {
  for (int side = 0; side < 2; ++side) {
    __m512i pairs[8];
    transpose_16x8(rows + 16 * side * stride, stride, pairs);
    for (int j = 0; j < 8; ++j) _mm512_store_si512(panel + j * 128 + 64 * side, pairs[j]);
  }
}

// Row j of values, zeros past the last.
POTLUCK_INLINE_512 __m512i value_row(const uint16_t* values, int64_t stride, int64_t terms,
                                     __mmask32 columns, int64_t j) {
  return j < terms ? _mm512_maskz_loadu_epi16(columns, values + j * stride)
                   : _mm512_setzero_si512();
}

void pack_panel(const WeightView& w, std::byte* panel) {
  alignas(64) uint16_t stage[kColumns * kWide];
  if (w.rows < kColumns) std::memset(stage, 0, sizeof(stage));
  for (int64_t first = 0; first < w.columns; first += kWide) {
    const int64_t n = w.columns - first < kWide ? w.columns - first : kWide;
    stage_rows(w, first, n, padded_columns(n), stage, kWide,
               [&](const std::byte* blocks, int64_t count, uint16_t* to) {
                 widen_bf16(w.type, blocks, count, to);
               });
    for (int64_t i = 0; i < padded_columns(n); i += kStep)
      write_pairs(reinterpret_cast<const std::byte*>(stage + i), kWide * 2,
                  panel + (first + i) * kColumns * 2);
  }
}

template <int kRows, int kTerms>
void multiply_tile(const PanelProduct& p, int64_t first, Prefetch& prefetch) {
  const TileRows<kRows> x(p, first);
  const size_t behind = bf16_term_bytes(p.columns);
  __m512 sums[kRows][2];
  for (int r = 0; r < kRows; ++r) start_columns(p, first + r, sums[r]);
  for (int64_t k = 0; k < padded_columns(p.columns); k += kStep) {
    prefetch.step();
#pragma GCC unroll 8
    for (int64_t i = k; i < k + kStep; i += 2) {
      const auto w0 = (__m512bh)_mm512_load_si512(p.panel + i * kColumns * 2);
      const auto w1 = (__m512bh)_mm512_load_si512(p.panel + i * kColumns * 2 + 64);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
        for (int term = 0; term < kTerms; ++term) {
          int32_t pair;
          std::memcpy(&pair, x.at[r] + static_cast<size_t>(term) * behind + i * 2, 4);
          const auto both = (__m512bh)_mm512_set1_epi32(pair);
          sums[r][0] = _mm512_dpbf16_ps(sums[r][0], w0, both);
          sums[r][1] = _mm512_dpbf16_ps(sums[r][1], w1, both);
        }
    }
  }
  for (int r = 0; r < kRows; ++r) store_columns(p, first + r, sums[r]);
}

template <int kTerms>
void multiply(const PanelProduct& p) {
  Prefetch prefetch(p, tile_count(p.rows, kRowsMax) * padded_columns(p.columns) / kStep);
  each_tile<kRowsMax>(
      p.rows, [&]<int kRows>(int64_t first) { multiply_tile<kRows, kTerms>(p, first, prefetch); });
}

template <int kTerms>
constexpr PackedProduct kProduct = {kTerms == 2 ? "bf16 fine" : "bf16",
                                    2,
                                    row_bytes<kTerms>,
                                    pack_row<kTerms>,
                                    panel_bytes,
                                    pack_panel,
                                    multiply<kTerms>};

}  // namespace

size_t bf16_term_bytes(int64_t columns) {
  return static_cast<size_t>(padded_columns(columns)) * 2;
}

// Pairs of rows are interleaved: dword c = {row j, row j + 1} of column c.
void pack_value_panel(const uint16_t* values, int64_t stride, int64_t terms, int64_t count,
                      std::byte* panel) {
  const auto columns = static_cast<__mmask32>(count >= 32 ? ~0u : (1u << count) - 1);
  const __m512i spread = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
  for (int64_t j = 0; j < padded_columns(terms); j += 2) {
    const __m512i a =
        _mm512_permutexvar_epi64(spread, value_row(values, stride, terms, columns, j));
    const __m512i b =
        _mm512_permutexvar_epi64(spread, value_row(values, stride, terms, columns, j + 1));
    _mm512_store_si512(panel + j * 64, _mm512_unpacklo_epi16(a, b));
    _mm512_store_si512(panel + j * 64 + 64, _mm512_unpackhi_epi16(a, b));
  }
}

const PackedProduct& bf16_product(bool fine) {
  return fine ? kProduct<2> : kProduct<1>;
}

}  // namespace potluck::cpu::avx512
