// The GPU's products in f16 on the emulator, by matrix units and without them, beside the
// reference.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/reference/matmul.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/f16_operand.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

std::vector<float> multiply(emulator::Vendor vendor, const float* x, int64_t rows,
                            const gpu::Weights& w) {
  const F16Operand operand(vendor, x, rows, w.columns);
  std::vector<float> out(rows * w.rows, -777);
  const auto tiles = [](int64_t n, int size) { return static_cast<int>((n + size - 1) / size); };
  emulator::run(vendor, {tiles(w.rows, gpu::kMatmulF16Outputs), tiles(rows, gpu::kMatmulF16Rows)},
                gpu::MatmulF16{operand.values.data(), operand.scale.data(), w, out.data(), rows});
  return out;
}

TEST(GpuF16Rows, KeepElevenBitsOfEachRowsValues) {
  const std::vector<float> sizes = {1, 3e30f, 2e-20f, 0};
  for (const auto vendor : emulator::kVendors)
    for (const int64_t n : {1, 67, 301}) {
      std::vector<float> x = random_values(sizes.size() * n, 3);
      for (size_t i = 0; i < x.size(); ++i) x[i] *= sizes[i / n];
      if (n > 256) x[256] = 1000;  // the largest of its row
      const F16Operand operand(vendor, x.data(), sizes.size(), n);
      const int64_t stride = gpu::f16_stride(n);
      for (size_t t = 0; t < sizes.size(); ++t) {
        ASSERT_EQ(std::exp2(std::round(std::log2(operand.scale[t]))), operand.scale[t]);
        for (int64_t i = 0; i < stride; ++i) {
          const float value = f32_from_f16(operand.values[t * stride + i]) * operand.scale[t];
          const float expected = i < n ? x[t * n + i] : 0;
          // Values below 2⁻²⁹ of the largest have steps of 2⁻³⁹ of it.
          ASSERT_NEAR(value, expected, 0x1p-11 * std::fabs(expected) + 0x1p-39 * sizes[t])
              << "row " << t << " value " << i;
        }
      }
    }
}

struct Shape {
  DType type;
  int64_t rows, outputs, columns;
};

// Each factor is rounded to 11 bits (w below 2⁻¹⁴ to steps of 2⁻²⁴), and a sum of n products is off
// by n · 2⁻²² where a matrix unit cuts bits off.
double tolerance(const float* x, const float* w, int64_t n) {
  double error = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double product = std::fabs(static_cast<double>(x[i]) * w[i]);
    error += product * (0x1.01p-10 + n * 0x1p-22) + 0x1p-25 * std::fabs(x[i]);
  }
  return error;
}

void expect_reference(emulator::Vendor vendor, const Shape& shape) {
  cpu::ThreadPool pool(1);
  const auto [type, rows, outputs, columns] = shape;
  const TestWeights w(type, 1, outputs, columns, 6);
  const std::vector<float> x = random_values(rows * columns, 7);
  std::vector<float> expected(rows * outputs), scratch(cpu::matmul_scratch(columns));
  cpu::matmul({x.data(), columns}, rows, w.view(), {expected.data(), outputs}, scratch.data(),
              pool);
  const std::vector<float> out = multiply(vendor, x.data(), rows, w.gpu());
  for (int64_t i = 0; i < rows * outputs; ++i) {
    const float* row = x.data() + i / outputs * columns;
    ASSERT_NEAR(out[i], expected[i], tolerance(row, w.row(i % outputs), columns))
        << dtype_name(type) << " row " << i / outputs << " output " << i % outputs;
  }
}

TEST(GpuMatmulF16, IsTheReferenceForEveryTypeAndAnyShape) {
  for (const auto vendor : emulator::kVendors) {
    for (const DType type : kStoredTypes) expect_reference(vendor, {type, 1, 3, 256});
    expect_reference(vendor, {DType::f32, 66, 130, 33});
    expect_reference(vendor, {DType::bf16, 3, 5, 67});
    expect_reference(vendor, {DType::q8_0, 40, 129, 96});
  }
}

// Rows of the identity multiply by 1 and add zeros, so that what is rounded shows.
TEST(GpuMatmulF16, RoundsTheStoredMatrixToTheNearest) {
  constexpr int64_t kOutputs = 20, kColumns = 64;
  std::vector<float> identity(kColumns * kColumns);
  for (int64_t i = 0; i < kColumns; ++i) identity[i * kColumns + i] = 1;
  for (const auto vendor : emulator::kVendors)
    for (const DType type : {DType::f32, DType::q8_0, DType::q4_0, DType::q5_1}) {
      const TestWeights w(type, 1, kOutputs, kColumns, 11);
      const std::vector<float> out = multiply(vendor, identity.data(), kColumns, w.gpu());
      for (int64_t o = 0; o < kOutputs; ++o)
        for (int64_t i = 0; i < kColumns; ++i)
          ASSERT_EQ(out[i * kOutputs + o], f32_from_f16(f16_from_f32(w.row(o)[i])))
              << dtype_name(type) << " output " << o << " column " << i;
    }
}

TEST(GpuMatmulF16, ARowAloneIsTheRowAmongOthers) {
  constexpr int64_t kRows = 67, kOutputs = 9, kColumns = 96;
  const TestWeights w(DType::q5_0, 1, kOutputs, kColumns, 8);
  const std::vector<float> x = random_values(kRows * kColumns, 9);
  for (const auto vendor : emulator::kVendors) {
    const std::vector<float> all = multiply(vendor, x.data(), kRows, w.gpu());
    for (const int64_t t : {0, 5, 66}) {
      const std::vector<float> alone = multiply(vendor, x.data() + t * kColumns, 1, w.gpu());
      for (int64_t o = 0; o < kOutputs; ++o) ASSERT_EQ(alone[o], all[t * kOutputs + o]) << t;
    }
  }
}

}  // namespace
}  // namespace potluck
