// Packed products, on every instruction set that this machine has, against the reference: each
// stored type, odd shapes, with a tolerance out of what packing rounds.
#include "kernels/cpu/packed_product.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/isa_test.h"
#include "tests/kernels/stored_weights.h"

namespace potluck::cpu {
namespace {

class PackedProducts : public IsaTest {};
POTLUCK_FOR_EACH_ISA(PackedProducts);

struct Shape {
  int64_t rows, outputs, columns;
};

TEST_P(PackedProducts, MeetsTheReferenceOnOddShapes) {
  const Isa isa = GetParam();
  constexpr Shape kShapes[] = {{1, 1, 256},   {3, 33, 256},  {7, 31, 512}, {16, 64, 768},
                               {17, 70, 256}, {33, 17, 256}, {45, 8, 768}, {300, 5, 256}};
  for (DType type : kTypes)
    for (const auto [rows, outputs, columns] : kShapes) {
      const Weights w(type, outputs, columns, 1);
      const Floats x = random_floats(rows * columns, 2);
      for (Use use : {Use::many, Use::few, Use::fine, Use::finest}) {
        const Floats out = multiply(isa, x, rows, w.view(), 2, use);
        expect_near_exact(isa, w, x, rows, out.data(), use);
      }
    }
}

// Floats of any number of columns: not a multiple of a panel's step.
TEST_P(PackedProducts, TakesFloatsOfAnyWidth) {
  const Isa isa = GetParam();
  for (DType type : {DType::bf16, DType::f16, DType::f32})
    for (int64_t columns : {1, 2, 15, 17, 33, 255, 300, 1031}) {
      const Weights w(type, 35, columns, 3);
      const Floats x = random_floats(5 * columns, 4);
      for (Use use : {Use::many, Use::fine}) {
        const Floats out = multiply(isa, x, 5, w.view(), 1, use);
        expect_near_exact(isa, w, x, 5, out.data(), use);
      }
    }
}

TEST_P(PackedProducts, ARowsBitsDependOnNeitherThreadsNorNeighbours) {
  const Isa isa = GetParam();
  for (DType type : {DType::q8_0, DType::q4_k, DType::q6_k, DType::bf16})
    for (Use use : {Use::many, Use::few, Use::fine, Use::finest}) {
      const int64_t rows = 21, outputs = 67, columns = 512;
      const Weights w(type, outputs, columns, 5);
      const Floats x = random_floats(rows * columns, 6);
      const Floats whole = multiply(isa, x, rows, w.view(), 1, use);
      EXPECT_EQ(multiply(isa, x, rows, w.view(), 3, use), whole);
      for (int64_t t = 0; t < rows; ++t) {
        const Floats row(x.begin() + t * columns, x.begin() + (t + 1) * columns);
        const Floats expected(whole.begin() + t * outputs, whole.begin() + (t + 1) * outputs);
        EXPECT_EQ(multiply(isa, row, 1, w.view(), 1, use), expected)
            << dtype_name(type) << " row " << t << " by " << packed_product(isa, type, use).name;
      }
    }
}

// Whole and partial panels, one chunk and several. Integers give the same bits; bf16 comes by
// another way from a stored panel, within what rounding to it may change.
TEST_P(PackedProducts, StoredPanelsGiveTheSameProducts) {
  const Isa isa = GetParam();
  int stored_types = 0;
  for (DType type : kTypes) {
    const PackedProduct& product = packed_product(isa, type, Use::few);
    if (!product.store_panel) continue;
    ++stored_types;
    const int64_t block = block_shape(type).values;
    for (int64_t columns : {block, 5 * block, (800 + block - 1) / block * block})
      for (int64_t rows : {1, 5, 16, 17, 41})
        for (int64_t outputs : {32, 7}) {
          const Weights w(type, outputs, columns, 8);
          const Floats x = random_floats(rows * columns, 9);
          const Block packed(product.row_bytes(columns) * static_cast<size_t>(rows));
          const PackedRows packed_rows{packed.bytes, product.row_bytes(columns)};
          for (int64_t t = 0; t < rows; ++t)
            product.pack_row(x.data() + t * columns, columns, packed_rows[t]);
          const Block panel(product.panel_bytes(columns)), stored(product.stored_bytes(columns));
          product.pack_panel(w.view(), panel.bytes);
          product.store_panel(w.view(), stored.bytes);
          EXPECT_LE(product.stored_bytes(columns),
                    row_bytes(type, columns) * 32 * 1.03 + kPanelRows * sizeof(float));
          Floats expected(static_cast<size_t>(rows * outputs)), actual(expected.size(), NAN);
          PanelProduct p{packed_rows,     rows,    panel.bytes, columns,
                         expected.data(), outputs, outputs};
          product.multiply(p);
          p.work = panel.bytes;
          p.panel = stored.bytes;
          p.out = actual.data();
          product.multiply_stored(p);
          SCOPED_TRACE(product.name);
          if (product.numbers == Numbers::integers)
            EXPECT_EQ(actual, expected)
                << dtype_name(type) << " " << rows << " × " << outputs << " × " << columns;
          else
            expect_near_exact(isa, w, x, rows, actual.data(), Use::few);
        }
  }
  EXPECT_EQ(stored_types, isa == Isa::avx2 ? 0 : 8);
}

// Enough for several tasks, the last of one panel and a part of one.
TEST_P(PackedProducts, AMatrixIsStoredAsItsPanelsAre) {
  constexpr int64_t kCount = 3, kRows = 998, kColumns = 4096;
  const Isa isa = GetParam();
  for (DType type : {DType::q8_0, DType::q6_k}) {
    const PackedProduct& product = packed_product(isa, type, Use::few);
    if (!product.store_panel) continue;
    std::vector<std::byte> blocks(row_bytes(type, kCount * kRows * kColumns));
    for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<std::byte>(i * i >> 8);
    const WeightView w{type, blocks.data(), kCount * kRows, kColumns};
    const size_t all = store_bytes(product, w, kCount), bytes = product.stored_bytes(kColumns);
    const Block stored(all), panel(bytes);
    ThreadPool pool(3);
    store_panels(product, w, kCount, stored.bytes, pool);
    const std::byte* actual = stored.bytes;
    for (int64_t i = 0; i < kCount; ++i)
      for (int64_t first = 0; first < kRows; first += kPanelRows, actual += bytes) {
        product.store_panel(w.slice(i * kRows + first, std::min(kPanelRows, kRows - first)),
                            panel.bytes);
        ASSERT_EQ(std::memcmp(actual, panel.bytes, bytes), 0)
            << dtype_name(type) << ", matrix " << i << ", row " << first;
      }
    EXPECT_EQ(actual, stored.bytes + all);
  }
}

// A row of zeros, and one of a single outlier.
TEST_P(PackedProducts, ZerosStayZeroAndAnOutlierSpoilsItsBlockAlone) {
  const Isa isa = GetParam();
  const Weights w(DType::q8_0, 32, 96, 7);
  Floats x(96, 0.0f);
  for (float value : multiply(isa, x, 1, w.view(), 1)) EXPECT_EQ(value, 0.0f);
  std::fill(x.begin(), x.end(), 0.01f);
  x[40] = 1000.0f;
  const Floats out = multiply(isa, x, 1, w.view(), 1);
  for (int64_t o = 0; o < 32; ++o) {
    const float* row = w.wide.data() + o * 96;
    ASSERT_NEAR(out[static_cast<size_t>(o)], exact_dot(x.data(), row, 96),
                tolerance(isa, w, x.data(), row, Use::many));
  }
}

}  // namespace
}  // namespace potluck::cpu
