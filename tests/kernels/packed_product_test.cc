// Packed products, on every instruction set that this machine has, against the reference: each
// stored type, odd shapes, with a tolerance out of what packing rounds.
#include "kernels/cpu/packed_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/cpu/dequantize.h"
#include "kernels/cpu/fast.h"
#include "tests/kernels/isa_test.h"

namespace potluck::cpu {
namespace {

using Floats = std::vector<float>;

constexpr DType kTypes[] = {DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0,
                            DType::q5_1, DType::q4_k, DType::q5_k, DType::q6_k,
                            DType::bf16, DType::f16,  DType::f32,  DType::iq4_nl};

class PackedProducts : public IsaTest {};
POTLUCK_FOR_EACH_ISA(PackedProducts);

// Random blocks whose f16 scales are tame: every byte is random, then each half that the format
// reads as a scale is overwritten.
struct Weights {
  DType type;
  int64_t rows, columns;
  std::vector<std::byte> bytes;
  Floats wide;

  Weights(DType type_, int64_t rows_, int64_t columns_, uint32_t seed)
      : type(type_), rows(rows_), columns(columns_) {
    std::mt19937 random(seed);
    bytes.resize(row_bytes(type, columns) * static_cast<size_t>(rows));
    if (can_quantize(type)) {
      std::normal_distribution<float> normal(0, 0.3f);
      Floats values(static_cast<size_t>(rows * columns));
      for (float& v : values) v = normal(random);
      quantize_row(type, values.data(), bytes.data(), rows * columns);
    } else {
      for (std::byte& b : bytes) b = static_cast<std::byte>(random());
      set_scales(random);
    }
    wide.resize(static_cast<size_t>(rows * columns));
    dequantize_row(type, bytes.data(), wide.data(), rows * columns);
  }

  void set_scales(std::mt19937& random) {
    const auto size = static_cast<size_t>(block_shape(type).bytes);
    const bool at_end = type == DType::q6_k;
    const bool two =
        type == DType::q4_1 || type == DType::q5_1 || type == DType::q4_k || type == DType::q5_k;
    for (size_t block = 0; block < bytes.size(); block += size)
      for (size_t half = 0; half < (two ? 2 : 1); ++half) {
        const uint16_t d = f16_from_f32(static_cast<float>(random() % 1000) * 1e-5f - 0.005f);
        std::memcpy(bytes.data() + block + (at_end ? 208 : 2 * half), &d, 2);
      }
  }

  WeightView view() const { return {type, bytes.data(), rows, columns}; }
};

struct Block {
  explicit Block(size_t size)
      : bytes(static_cast<std::byte*>(std::aligned_alloc(64, (size + 63) / 64 * 64))) {}
  ~Block() { std::free(bytes); }
  Block(const Block&) = delete;
  std::byte* bytes;
};

Floats random_floats(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

Floats multiply(Isa isa, const Floats& x, int64_t rows, const Weights& w, int threads,
                Use use = Use::many) {
  ThreadPool pool(threads);
  const PackedProduct& product = packed_product(isa, w.type, use);
  const size_t bytes = fast_matmul_scratch(product, w.columns, rows, threads);
  auto* scratch = std::aligned_alloc(64, bytes);
  Floats out(static_cast<size_t>(rows * w.rows), NAN);
  fast_matmul(product, x.data(), rows, w.view(), out.data(), scratch, pool);
  std::free(scratch);
  return out;
}

// What packing may change of Σ x·w, plus the float sums' own rounding. int8: half a step of each
// block of x, step = max/127, times its |w| sum; two terms: 1/256 of that. bf16: 2⁻⁸ of x (two
// terms: 2⁻¹⁶) and of w, unless w is bf16 anyway.
double tolerance(Isa isa, const Weights& w, const float* x, const float* row, Use use) {
  const bool fine = use == Use::fine || use == Use::finest;
  double packed = 0, magnitude = 0;
  for (int64_t i = 0; i < w.columns; i += 32) {
    double most = 0, weights = 0;
    for (int64_t j = i; j < std::min(w.columns, i + 32); ++j) {
      most = std::max<double>(most, std::fabs(x[j]));
      weights += std::fabs(row[j]);
      magnitude += std::fabs(static_cast<double>(x[j]) * row[j]);
    }
    packed += most / 127 * 0.5001 * weights;
  }
  const double sums = static_cast<double>(w.columns) * 0x1p-22 * magnitude;
  if (std::string_view(packed_product(isa, w.type, use).name).starts_with("int"))
    return packed * 1.01 * (fine ? 0x1p-8 : 1) + sums + 1e-20;
  const double of_x = fine ? 0x1.02p-16 : 0x1.02p-8;
  return magnitude * (of_x + (w.type == DType::bf16 ? 0 : 0x1.02p-8)) + sums + 1e-20;
}

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
        const Floats out = multiply(isa, x, rows, w, 2, use);
        for (int64_t t = 0; t < rows; ++t)
          for (int64_t o = 0; o < outputs; ++o) {
            const float *xt = x.data() + t * columns, *wo = w.wide.data() + o * columns;
            double sum = 0;
            for (int64_t i = 0; i < columns; ++i) sum += static_cast<double>(xt[i]) * wo[i];
            ASSERT_NEAR(out[static_cast<size_t>(t * outputs + o)], sum,
                        tolerance(isa, w, xt, wo, use))
                << isa_name(isa) << " " << dtype_name(type) << " " << rows << " × " << outputs
                << " × " << columns << " at " << t << ", " << o << " by "
                << packed_product(isa, type, use).name;
          }
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
        const Floats out = multiply(isa, x, 5, w, 1, use);
        for (int64_t t = 0; t < 5; ++t)
          for (int64_t o = 0; o < 35; ++o) {
            const float *xt = x.data() + t * columns, *wo = w.wide.data() + o * columns;
            double sum = 0;
            for (int64_t i = 0; i < columns; ++i) sum += static_cast<double>(xt[i]) * wo[i];
            ASSERT_NEAR(out[static_cast<size_t>(t * 35 + o)], sum, tolerance(isa, w, xt, wo, use))
                << dtype_name(type) << " " << columns << " by "
                << packed_product(isa, type, use).name;
          }
      }
    }
}

TEST_P(PackedProducts, ARowsBitsDependOnNeitherThreadsNorNeighbours) {
  const Isa isa = GetParam();
  for (DType type : {DType::q8_0, DType::q4_k, DType::q6_k, DType::bf16})
    for (Use use : {Use::many, Use::few, Use::fine}) {
      const int64_t rows = 21, outputs = 67, columns = 512;
      const Weights w(type, outputs, columns, 5);
      const Floats x = random_floats(rows * columns, 6);
      const Floats whole = multiply(isa, x, rows, w, 1, use);
      EXPECT_EQ(multiply(isa, x, rows, w, 3, use), whole);
      for (int64_t t = 0; t < rows; ++t) {
        const Floats row(x.begin() + t * columns, x.begin() + (t + 1) * columns);
        const Floats expected(whole.begin() + t * outputs, whole.begin() + (t + 1) * outputs);
        EXPECT_EQ(multiply(isa, row, 1, w, 1, use), expected)
            << dtype_name(type) << " row " << t << " by " << packed_product(isa, type, use).name;
      }
    }
}

// Whole and partial panels, one chunk and several.
TEST_P(PackedProducts, StoredPanelsGiveTheSameBits) {
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
          EXPECT_LE(product.stored_bytes(columns), row_bytes(type, columns) * 32 * 1.03);
          Floats expected(static_cast<size_t>(rows * outputs)), actual(expected.size(), NAN);
          PanelProduct p{packed_rows,     rows,    panel.bytes, columns,
                         expected.data(), outputs, outputs};
          product.multiply(p);
          p.panel = stored.bytes;
          p.out = actual.data();
          product.multiply_stored(p);
          EXPECT_EQ(actual, expected) << dtype_name(type) << " " << rows << " × " << outputs
                                      << " × " << columns << " by " << product.name;
        }
  }
  EXPECT_EQ(stored_types, isa == Isa::avx2 ? 0 : 8);
}

// A row of zeros, and one of a single outlier.
TEST_P(PackedProducts, ZerosStayZeroAndAnOutlierSpoilsItsBlockAlone) {
  const Isa isa = GetParam();
  const Weights w(DType::q8_0, 32, 96, 7);
  Floats x(96, 0.0f);
  for (float value : multiply(isa, x, 1, w, 1)) EXPECT_EQ(value, 0.0f);
  std::fill(x.begin(), x.end(), 0.01f);
  x[40] = 1000.0f;
  const Floats out = multiply(isa, x, 1, w, 1);
  for (int64_t o = 0; o < 32; ++o) {
    const float* row = w.wide.data() + o * 96;
    double sum = 0;
    for (int64_t i = 0; i < 96; ++i) sum += static_cast<double>(x[static_cast<size_t>(i)]) * row[i];
    ASSERT_NEAR(out[static_cast<size_t>(o)], sum, tolerance(isa, w, x.data(), row, Use::many));
  }
}

}  // namespace
}  // namespace potluck::cpu
