// Packed products are held to the reference on every instruction set that this machine has: each
// stored type, odd shapes, with a tolerance out of what packing rounds.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/fast/stored_matmul.h"
#include "kernels/cpu/packed/choose.h"
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
  for (DType type : {DType::q8_0, DType::q4_k, DType::q6_k, DType::bf16, DType::iq2_s,
                     DType::iq3_xxs, DType::iq1_m, DType::mxfp4})
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
          EXPECT_LE(product.stored_bytes(columns),
                    row_bytes(type, columns) * 32 * 1.065 + kPanelRows * sizeof(float));
          const Floats actual = multiply_stored(product, x, rows, w);
          SCOPED_TRACE(product.name);
          if (product.numbers == Numbers::integers)
            EXPECT_EQ(actual, multiply(isa, x, rows, w.view(), 1, Use::few))
                << dtype_name(type) << " " << rows << " × " << outputs << " × " << columns;
          else
            expect_near_exact(isa, w, x, rows, actual.data(), Use::few);
        }
  }
  EXPECT_EQ(stored_types, 17);
}

// Enough for several tasks, the last of one panel and a part of one.
TEST_P(PackedProducts, AMatrixIsStoredAsItsPanelsAre) {
  constexpr int64_t kCount = 3, kRows = 998, kColumns = 4096;
  const Isa isa = GetParam();
  for (DType type : {DType::q8_0, DType::q6_k, DType::iq2_s, DType::iq4_nl}) {
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

// out [rows, w.rows], by as many threads.
Floats stored_matmul(const PackedProduct& product, const float* x, int64_t rows, const Weights& w,
                     int threads) {
  ThreadPool pool(threads);
  const Block stored(store_bytes(product, w.view(), 1));
  store_panels(product, w.view(), 1, stored.bytes, pool);
  const Block scratch(fast_stored_matmul_scratch(product, w.columns, rows, threads));
  Floats out(static_cast<size_t>(rows * w.rows), NAN);
  fast_stored_matmul(product, {x, rows, {w.type, stored.bytes, w.rows, w.columns}, out.data()},
                     scratch.bytes, pool);
  return out;
}

// One slice of columns and several, one block of rows and two, whole tasks and parts of one; a
// row's bits are those of it alone.
TEST_P(PackedProducts, StoredMatricesMeetTheReference) {
  const Isa isa = GetParam();
  constexpr Shape kShapes[] = {{1, 1, 256}, {17, 33, 1792}, {40, 1100, 512}, {270, 70, 3328}};
  for (DType type : kTypes)
    for (Use use : {Use::many, Use::fine}) {
      const PackedProduct& product = packed_product(isa, type, use);
      if (!product.unpack_panel) continue;
      for (const auto [rows, outputs, columns] : kShapes) {
        const Weights w(type, outputs, columns, 12);
        const Floats x = random_floats(rows * columns, 13);
        const Floats out = stored_matmul(product, x.data(), rows, w, 1);
        expect_near_exact(isa, w, x, rows, out.data(), use);
        EXPECT_EQ(stored_matmul(product, x.data(), rows, w, 3), out) << product.name;
        EXPECT_EQ(stored_matmul(product, x.data() + (rows - 1) * columns, 1, w, 2),
                  Floats(out.end() - outputs, out.end()))
            << product.name;
      }
    }
}

// Each row of W with f16 scales of its own size, from the least there is to nearly the greatest,
// and none: rows do not lose beside others.
TEST_P(PackedProducts, StoredScalesReachAsFarAsF16) {
  const Isa isa = GetParam();
  constexpr uint16_t kScales[] = {0x0001, 0x0400, 0x1400, 0x3c00, 0x7000, 0x0000, 0x8001, 0xbc00};
  for (DType type : {DType::q8_0, DType::q4_1, DType::q5_0, DType::q4_k, DType::q6_k, DType::iq4_nl,
                     DType::iq2_s, DType::iq3_s, DType::iq1_s, DType::iq1_m}) {
    const PackedProduct& product = packed_product(isa, type, Use::few);
    if (!product.store_panel) continue;
    Weights w(type, 24, 512, 10);
    const auto size = static_cast<size_t>(block_shape(type).bytes);
    const size_t blocks = row_bytes(type, w.columns) / size;
    for (size_t i = 0; i < w.bytes.size() / size; ++i)
      set_scale(type, kScales[i / blocks % std::size(kScales)], w.bytes.data() + i * size);
    dequantize_row(type, w.bytes.data(), w.wide.data(), w.rows * w.columns);
    const Floats x = random_floats(9 * w.columns, 11), out = multiply_stored(product, x, 9, w);
    expect_near_exact(isa, w, x, 9, out.data(), Use::few);
  }
}

// Every scale that mxfp4 has, the subnormal ones too, up to where values leave f32.
TEST_P(PackedProducts, StoredScalesReachAsFarAsMxfp4s) {
  const Isa isa = GetParam();
  const PackedProduct& product = packed_product(isa, DType::mxfp4, Use::few);
  Weights w(DType::mxfp4, 253, 64, 14);
  for (int64_t i = 0; i < 2 * w.rows; ++i)
    w.bytes[static_cast<size_t>(i * 17)] = static_cast<std::byte>(i / 2);
  dequantize_row(w.type, w.bytes.data(), w.wide.data(), w.rows * w.columns);
  Floats x = random_floats(3 * w.columns, 15);
  for (float& value : x) value *= 0x1p-8f;
  const Floats out = multiply_stored(product, x, 3, w);
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t o = 0; o < w.rows; ++o) {
      const float *xt = x.data() + t * w.columns, *wo = w.wide.data() + o * w.columns;
      EXPECT_NEAR(out[static_cast<size_t>(t * w.rows + o)], exact_dot(xt, wo, w.columns),
                  tolerance(isa, w, xt, wo, Use::few))
          << "exponent " << o;
    }
}

TEST_P(PackedProducts, EveryTypeBecomesBf16AsItsValuesDo) {
  for (DType type : kTypes) {
    const Weights w(type, 3, 768, 16);
    std::vector<uint16_t> actual(w.wide.size());
    dequantize_bf16(GetParam(), type, w.bytes.data(), std::ssize(actual), actual.data());
    for (size_t i = 0; i < actual.size(); ++i)
      ASSERT_EQ(actual[i], bf16_from_f32(w.wide[i])) << dtype_name(type) << " at " << i;
  }
}

// One value that is not finite, anywhere in a row, leaves nothing of the row's products that could
// pass for an answer, and changes no bit of its neighbours.
TEST_P(PackedProducts, ARowThatIsNotFiniteHasNoFiniteProduct) {
  const Isa isa = GetParam();
  constexpr int64_t kRows = 3, kOutputs = 35, kColumns = 512;
  for (DType type : kTypes)
    for (Use use : {Use::many, Use::few, Use::fine, Use::finest}) {
      const Weights w(type, kOutputs, kColumns, 17);
      const Floats right = random_floats(kRows * kColumns, 18);
      const Floats expected = multiply(isa, right, kRows, w.view(), 1, use);
      for (float bad : {NAN, INFINITY, -INFINITY})
        for (int64_t at : {0, 15, 16, 37, 255, 300, 511}) {
          Floats x = right;
          x[static_cast<size_t>(kColumns + at)] = bad;
          const Floats actual = multiply(isa, x, kRows, w.view(), 1, use);
          for (size_t i = 0; i < actual.size(); ++i)
            if (i / kOutputs == 1)
              ASSERT_FALSE(std::isfinite(actual[i]))
                  << dtype_name(type) << " by " << packed_product(isa, type, use).name << ": "
                  << bad << " at " << at << " gives " << actual[i];
            else
              ASSERT_EQ(actual[i], expected[i]) << dtype_name(type) << ": " << bad << " at " << at;
        }
    }
}

// Values so small that no float is their step's inverse count for nothing.
TEST_P(PackedProducts, ValuesTooSmallForAStepAreZeros) {
  const Isa isa = GetParam();
  for (DType type : kTypes)
    for (Use use : {Use::many, Use::few, Use::fine, Use::finest}) {
      const Weights w(type, 35, 256, 19);
      Floats x = random_floats(256, 20);
      for (float& value : x) value *= 0x1p-140f;
      for (float value : multiply(isa, x, 1, w.view(), 1, use))
        ASSERT_LE(std::fabs(value), 0x1p-120f);
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
