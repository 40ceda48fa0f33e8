// The product of packed bf16 rows and a panel on 32 × 32 tiles of sums, whoever multiplies tiles:
// the processor (bf16_product.cc) or a test's plain loops.
//
// Tiles: sum(a, b) adds to 32 × 32 sums the product of a [32 rows][32 values] and b [16 pairs][32
// columns][2], both bf16; clear() zeroes the sums and store() hands them out.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/cpu/packed_product.h"

namespace potluck::cpu::amx {

constexpr int64_t kRows = 32;    // of a tile of sums, and columns: a panel's
constexpr int64_t kValues = 32;  // columns of W a step
constexpr size_t kRowBytes = kValues * 2;

// a[r, :] = the step's values of row r; zeros where there is no row.
inline void gather(const PanelProduct& p, int64_t first, int64_t count, size_t offset,
                   std::byte* a) {
  for (int64_t r = 0; r < count; ++r)
    std::memcpy(a + static_cast<size_t>(r) * kRowBytes, p.x[first + r] + offset, kRowBytes);
}

inline void write_sums(const PanelProduct& p, int64_t first, int64_t count, const float* sums) {
  for (int64_t r = 0; r < count; ++r) {
    float* out = p.out + (first + r) * p.out_stride;
    const float keep = p.keep ? p.keep[first + r] : 0.0f;
    for (int64_t c = 0; c < p.count; ++c)
      out[c] = (p.keep ? keep * out[c] : 0.0f) + sums[r * kRows + c];
  }
}

// terms of a packed row lie term_bytes apart and are padded to kValues.
template <typename Tiles>
void multiply_bf16(const PanelProduct& p, int terms, size_t term_bytes, Tiles& tiles) {
  alignas(64) std::byte a[kRows * kRowBytes] = {};
  alignas(64) float sums[kRows * kRows];
  const int64_t steps = (p.columns + kValues - 1) / kValues;
  for (int64_t first = 0; first < p.rows; first += kRows) {
    const int64_t count = std::min(kRows, p.rows - first);
    if (count < kRows) std::memset(a, 0, sizeof(a));
    tiles.clear();
    for (int64_t step = 0; step < steps; ++step)
      for (int term = 0; term < terms; ++term) {
        gather(p, first, count, static_cast<size_t>(term) * term_bytes + step * kRowBytes, a);
        tiles.sum(a, p.panel + static_cast<size_t>(step) * kRows * kRowBytes);
      }
    tiles.store(sums);
    write_sums(p, first, count, sums);
  }
}

}  // namespace potluck::cpu::amx
