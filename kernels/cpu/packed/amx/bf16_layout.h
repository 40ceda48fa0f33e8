// The layout of bf16 rows, and of the panels that they meet, for TDPBF16PS: a step of a panel, 16
// pairs of 32 columns, is two tiles as it lies.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <cstring>

#include "kernels/cpu/packed/amx/bf16_multiply.h"
#include "kernels/cpu/packed/avx512/dequantize.h"
#include "kernels/cpu/packed/avx512/tiles.h"
#include "kernels/cpu/packed/avx512/transpose.h"

namespace potluck::cpu::amx {
namespace {

constexpr int64_t kStep = 16;  // columns of W that are transposed at a time

int64_t padded_columns(int64_t columns) {
  return tile_count(columns, kValues) * kValues;
}

// The bytes from one term of a row to the next.
size_t term_bytes(int64_t columns) {
  return static_cast<size_t>(padded_columns(columns)) * 2;
}

template <int kTerms>
size_t row_bytes(int64_t columns) {
  return odd_lines(kTerms * term_bytes(columns));
}

// out[0, padded) = x in bf16, zeros behind.
void round_row(const float* x, int64_t columns, int64_t padded, std::byte* out) {
  std::memset(out, 0, padded * 2);
  for (int64_t i = 0; i < columns; i += 16) {
    const __mmask16 some = avx512::first_lanes(columns - i);
    _mm256_mask_storeu_epi16(out + i * 2, some,
                             avx512::to_bf16(_mm512_maskz_loadu_ps(some, x + i)));
  }
}

template <int kTerms>
void pack_row(const float* x, int64_t columns, std::byte* packed) {
  round_row(x, columns, padded_columns(columns), packed);
  if constexpr (kTerms == 2)
    for (int64_t i = 0; i < columns; i += kStaged) {
      const int64_t n = columns - i < kStaged ? columns - i : kStaged;
      float left[kStaged];
      dequantize_row(DType::bf16, packed + i * 2, left, n);
      for (int64_t j = 0; j < n; ++j) left[j] = x[i + j] - left[j];
      round_row(left, n, padded_columns(n), packed + term_bytes(columns) + i * 2);
    }
}

// [K / 2][32 columns][2] bf16.
inline size_t panel_bytes(int64_t columns) {
  return padded_columns(columns) * kColumns * 2;
}

// Writes 16 columns of W of 32 rows, `stride` bytes apart.
POTLUCK_INLINE_512 void write_pairs(const std::byte* rows, size_t stride, std::byte* panel) {
  for (int side = 0; side < 2; ++side) {
    __m512i pairs[8];
    avx512::transpose_16x8(rows + 16 * side * stride, stride, pairs);
    for (int j = 0; j < 8; ++j) _mm512_store_si512(panel + j * 128 + 64 * side, pairs[j]);
  }
}

inline void pack_panel(const WeightView& w, std::byte* panel) {
  alignas(64) uint16_t stage[kColumns * kStaged];
  if (w.rows < kColumns) std::memset(stage, 0, sizeof(stage));
  for (int64_t first = 0; first < w.columns; first += kStaged) {
    const int64_t n = w.columns - first < kStaged ? w.columns - first : kStaged;
    stage_rows(w, first, n, padded_columns(n), stage,
               [&](const std::byte* blocks, int64_t count, uint16_t* to) {
                 avx512::dequantize(w.type, blocks, count, to);
               });
    for (int64_t i = 0; i < padded_columns(n); i += kStep)
      write_pairs(reinterpret_cast<const std::byte*>(stage + i), kStaged * 2,
                  panel + (first + i) * kColumns * 2);
  }
}

}  // namespace
}  // namespace potluck::cpu::amx
