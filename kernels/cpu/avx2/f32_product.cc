// Products in f32 by FMA: x as it is, W widened as its panel is packed. For weights without an
// integer form, and for attention and Σ p·E. Tiles: 6 rows × 16 columns = 12 of the 16 registers.
#include <cstring>

#include "kernels/cpu/avx2/products.h"
#include "kernels/cpu/avx2/tiles.h"
#include "kernels/cpu/dequantize.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr int kRowsMax = 6;
constexpr int64_t kStep = 8;    // columns of W that are transposed at a time
constexpr int64_t kWide = 256;  // values widened at a time: a block of any format

int64_t padded_columns(int64_t columns) {
  return (columns + kStep - 1) / kStep * kStep;
}

size_t row_bytes(int64_t columns) {
  return odd_lines(static_cast<size_t>(padded_columns(columns) * 4));
}

void pack_row(const float* x, int64_t columns, std::byte* packed) {
  std::memcpy(packed, x, static_cast<size_t>(columns) * 4);
  std::memset(packed + columns * 4, 0, static_cast<size_t>(padded_columns(columns) - columns) * 4);
}

// f32 [K][32 columns].
size_t panel_bytes(int64_t columns) {
  return static_cast<size_t>(padded_columns(columns)) * kColumns * 4;
}

void pack_panel(const WeightView& w, std::byte* panel) {
  alignas(32) float stage[kColumns * kWide];
  if (w.rows < kColumns) std::memset(stage, 0, sizeof(stage));
  for (int64_t first = 0; first < w.columns; first += kWide) {
    const int64_t n = w.columns - first < kWide ? w.columns - first : kWide;
    stage_rows(w, first, n, padded_columns(n), stage, kWide,
               [&](const std::byte* blocks, int64_t count, float* to) {
                 dequantize_row(w.type, blocks, to, count);
               });
    for (int64_t i = 0; i < n; i += kStep)
      for (int column = 0; column < kColumns; column += 8) {
        __m256i rows[8];
        for (int c = 0; c < 8; ++c)
          rows[c] =
              _mm256_load_si256(reinterpret_cast<const __m256i*>(stage + (column + c) * kWide + i));
        transpose_8x8(rows);
        for (int k = 0; k < 8; ++k)
          _mm256_store_si256(
              reinterpret_cast<__m256i*>(panel + ((first + i + k) * kColumns + column) * 4),
              rows[k]);
      }
  }
}

template <int kRows>
void multiply_tile(const PanelProduct& p, int64_t first, int column) {
  const TileRows<kRows> x(p, first);
  __m256 sums[kRows][2];
  for (int r = 0; r < kRows; ++r) start_columns(p, first + r, column, sums[r]);
  for (int64_t k = 0; k < p.columns; ++k) {
    const auto* w = reinterpret_cast<const float*>(p.panel) + k * kColumns + column;
    const __m256 w0 = _mm256_load_ps(w), w1 = _mm256_load_ps(w + 8);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      float value;
      std::memcpy(&value, x.at[r] + k * 4, 4);
      const __m256 all = _mm256_set1_ps(value);
      sums[r][0] = _mm256_fmadd_ps(w0, all, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(w1, all, sums[r][1]);
    }
  }
  for (int r = 0; r < kRows; ++r) store_columns(p, first + r, column, sums[r]);
}

void multiply(const PanelProduct& p) {
  const auto parts = static_cast<size_t>(tile_count(p.rows, kRowsMax));
  size_t part = 0;
  each_tile<kRowsMax>(p.rows, [&]<int kRows>(int64_t first) {
    prefetch(p, part++, parts);
    for (int column = 0; column < p.count; column += kHalf) multiply_tile<kRows>(p, first, column);
  });
}

constexpr PackedProduct kProduct = {"f32",       1,          row_bytes, pack_row,
                                    panel_bytes, pack_panel, multiply,  Numbers::f32};

}  // namespace

const PackedProduct& f32_product() {
  return kProduct;
}

void widen_bf16(DType type, const void* blocks, int64_t values, uint16_t* out) {
  const BlockShape shape = block_shape(type);
  float wide[kWide];
  for (int64_t i = 0; i < values; i += kWide) {
    const int64_t n = values - i < kWide ? values - i : kWide;
    dequantize_row(type, static_cast<const std::byte*>(blocks) + i / shape.values * shape.bytes,
                   wide, n);
    quantize_row(DType::bf16, wide, out + i, n);
  }
}

void pack_value_panel(const ValueRows& values, std::byte* panel) {
  auto* to = reinterpret_cast<float*>(panel);
  const auto rest = static_cast<size_t>(kColumns - values.count) * sizeof(*to);
  for (int64_t j = 0; j < values.terms; ++j, to += kColumns) {
    dequantize_row(DType::bf16, values.data + j * values.stride, to, values.count);
    std::memset(to + values.count, 0, rest);
  }
}

}  // namespace potluck::cpu::avx2
