// AMX's product runs on plain loops in the place of tiles, so that a machine without AMX can test
// it.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "kernels/cpu/packed/amx/bf16_multiply.h"

namespace potluck::cpu {
namespace {

struct PlainTiles {
  int64_t height;
  float sums[32][32];
  const uint16_t* w;

  void clear() { std::memset(sums, 0, sizeof(sums)); }
  void panel(const std::byte* b) { w = reinterpret_cast<const uint16_t*>(b); }

  void sum_tile(const std::byte* a, size_t stride, int first) {
    for (int r = 0; r < height; ++r) {
      const auto* x = reinterpret_cast<const uint16_t*>(a + static_cast<size_t>(r) * stride);
      for (int c = 0; c < 32; ++c)
        for (int k = 0; k < 32; ++k)
          sums[first + r][c] += f32_from_bf16(x[k]) * f32_from_bf16(w[k / 2 * 64 + c * 2 + k % 2]);
    }
  }

  template <bool kPair>
  void sum(const std::byte* a0, const std::byte* a1, size_t stride) {
    sum_tile(a0, stride, 0);
    if (kPair) sum_tile(a1, stride, amx::kHeightMax);
  }

  template <bool kPair>
  void store(float* out) const {
    std::memcpy(out, sums, sizeof(sums));
  }
};

// Rows and a panel in bf16, laid out as the tiles take them; a second term is what the first left.
struct Operands {
  int64_t rows, columns, terms;
  int64_t padded = (columns + 31) / 32 * 32;
  std::vector<uint16_t> x, panel;
  std::vector<double> exact;  // [rows, 32]: Σ x · w of the terms

  Operands(int64_t rows_, int64_t columns_, int64_t terms_)
      : rows(rows_), columns(columns_), terms(terms_) {
    x.resize(static_cast<size_t>(rows * terms * padded));
    panel.resize(static_cast<size_t>(padded * 32));
    exact.resize(static_cast<size_t>(rows * 32));
    std::mt19937 random(9);
    std::normal_distribution<float> normal;
    std::vector<float> kept(static_cast<size_t>(rows * columns));
    for (int64_t i = 0; i < rows * columns; ++i) {
      float left = normal(random);
      for (int64_t term = 0; term < terms; ++term) {
        uint16_t& to = x[static_cast<size_t>((i / columns * terms + term) * padded + i % columns)];
        to = bf16_from_f32(left);
        left -= f32_from_bf16(to);
        kept[static_cast<size_t>(i)] += f32_from_bf16(to);
      }
    }
    for (int64_t k = 0; k < columns; ++k)
      for (int64_t c = 0; c < 32; ++c) {
        uint16_t& to = panel[static_cast<size_t>(k / 2 * 64 + c * 2 + k % 2)];
        to = bf16_from_f32(normal(random));
        for (int64_t r = 0; r < rows; ++r)
          exact[static_cast<size_t>(r * 32 + c)] +=
              static_cast<double>(kept[static_cast<size_t>(r * columns + k)]) * f32_from_bf16(to);
      }
  }

  size_t term_bytes() const { return static_cast<size_t>(padded) * 2; }
  PackedRows packed() {
    return {reinterpret_cast<std::byte*>(x.data()), static_cast<size_t>(terms) * term_bytes()};
  }
};

TEST(AmxTiles, MeetTheExactSumsOnOddShapes) {
  for (auto [rows, columns, count] :
       {std::array<int64_t, 3>{1, 1, 1}, {33, 40, 32}, {70, 300, 31}, {32, 64, 7}})
    for (int64_t terms : {1, 2}) {
      Operands operands(rows, columns, terms);
      const std::vector<float> keep(static_cast<size_t>(rows), 0.75f);
      std::vector<float> out(static_cast<size_t>(rows * 33), 0.5f);
      const PanelProduct p{operands.packed(),
                           rows,
                           reinterpret_cast<const std::byte*>(operands.panel.data()),
                           columns,
                           out.data(),
                           33,
                           count,
                           keep.data()};
      const amx::RowCut cut{rows};
      PlainTiles tiles{cut.height, {}, nullptr};
      if (terms == 2)
        amx::multiply_bf16<2>(p, operands.term_bytes(), cut, amx::PanelSteps(p, cut), tiles);
      else
        amx::multiply_bf16<1>(p, operands.term_bytes(), cut, amx::PanelSteps(p, cut), tiles);
      const double tolerance = static_cast<double>(columns) * 0x1p-20 * 4;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < 33; ++c)
          ASSERT_NEAR(out[static_cast<size_t>(r * 33 + c)],
                      c < count ? 0.375 + operands.exact[static_cast<size_t>(r * 32 + c)] : 0.5,
                      tolerance)
              << rows << " × " << columns << " × " << terms << " at " << r << ", " << c;
    }
}

}  // namespace
}  // namespace potluck::cpu
