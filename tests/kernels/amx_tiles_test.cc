// AMX's product on plain loops in the place of tiles: what a machine without AMX can hold it to.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/amx/bf16_multiply.h"
#include "kernels/cpu/isa.h"

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

// The same packed rows and panel by AVX-512: f32 sums in other orders, of products of bf16.
TEST(AmxTiles, MeetAvx512OnOddShapes) {
  if (!isa_available(Isa::avx512)) GTEST_SKIP() << "avx512, which packs, is not on this machine";
  for (auto [rows, columns, count] :
       {std::array<int64_t, 3>{1, 1, 1}, {33, 40, 32}, {70, 300, 31}, {32, 64, 7}})
    for (bool fine : {false, true}) {
      const PackedProduct& product =
          packed_product(Isa::avx512, DType::bf16, fine ? Use::fine : Use::many);
      std::mt19937 random(9);
      std::normal_distribution<float> normal;
      std::vector<float> x(static_cast<size_t>(rows * columns)), keep;
      for (float& v : x) v = normal(random);
      for (int64_t t = 0; t < rows; ++t) keep.push_back(normal(random));
      std::vector<uint16_t> w;
      for (int64_t i = 0; i < count * columns; ++i) w.push_back(bf16_from_f32(normal(random)));
      const size_t row = product.row_bytes(columns);
      void* packed = std::aligned_alloc(64, row * static_cast<size_t>(rows));
      void* panel = std::aligned_alloc(64, product.panel_bytes(columns));
      const PackedRows packed_rows{static_cast<std::byte*>(packed), row};
      for (int64_t t = 0; t < rows; ++t)
        product.pack_row(x.data() + t * columns, columns, packed_rows[t]);
      product.pack_panel({DType::bf16, w.data(), count, columns}, static_cast<std::byte*>(panel));
      std::vector<float> expected(static_cast<size_t>(rows * 33), 0.5f), actual = expected;
      PanelProduct p{
          packed_rows, rows,       static_cast<std::byte*>(panel), columns, expected.data(), 33,
          count,       keep.data()};
      product.multiply(p);
      p.out = actual.data();
      const amx::RowCut cut{rows};
      PlainTiles tiles{cut.height, {}, nullptr};
      const size_t term = static_cast<size_t>((columns + 31) / 32 * 64);
      if (fine)
        amx::multiply_bf16<2>(p, term, cut, tiles);
      else
        amx::multiply_bf16<1>(p, term, cut, tiles);
      std::free(packed);
      std::free(panel);
      const double tolerance = static_cast<double>(columns) * 0x1p-20 * 4;
      for (size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(actual[i], expected[i], tolerance) << rows << " × " << columns << " at " << i;
    }
}

}  // namespace
}  // namespace potluck::cpu
