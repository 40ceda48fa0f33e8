// The GPU's product with a stored matrix on the emulator, beside the reference.
#include "kernels/cpu/reference/matmul.h"

#include <gtest/gtest.h>

#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

std::vector<float> multiply(emulator::Vendor vendor, const float* x, int64_t rows,
                            const gpu::Weights& w) {
  std::vector<float> out(rows * w.rows, -777);
  const auto tiles = [](int64_t n, int size) { return static_cast<int>((n + size - 1) / size); };
  emulator::run(vendor, {tiles(w.rows, gpu::kMatmulOutputs), tiles(rows, gpu::kMatmulRows)},
                gpu::Matmul{x, w, out.data(), rows});
  return out;
}

// Rows of the identity multiply by 1 and add zeros, which no rounding changes.
TEST(GpuMatmul, OpensEveryTypeToTheReferencesBits) {
  constexpr int64_t kColumns = 512, kOutputs = 5;
  std::vector<float> identity(kColumns * kColumns);
  for (int64_t i = 0; i < kColumns; ++i) identity[i * kColumns + i] = 1;
  for (const DType type : kStoredTypes) {
    const TestWeights w(type, 1, kOutputs, kColumns, 5);
    const std::vector<float> out =
        multiply(emulator::Vendor::cuda, identity.data(), kColumns, w.gpu());
    for (int64_t i = 0; i < kColumns; ++i)
      for (int64_t o = 0; o < kOutputs; ++o)
        ASSERT_EQ(out[i * kOutputs + o], w.row(o)[i]) << dtype_name(type) << " value " << i;
  }
}

struct Shape {
  DType type;
  int64_t rows, outputs, columns;
};

TEST(GpuMatmul, IsTheReferenceForAnyShape) {
  cpu::ThreadPool pool(1);
  for (const auto vendor : emulator::kWarpSizes)
    for (const auto [type, rows, outputs, columns] :
         {Shape{DType::f32, 1, 1, 1}, Shape{DType::f32, 3, 67, 301}, Shape{DType::bf16, 65, 65, 67},
          Shape{DType::q8_0, 70, 33, 288}, Shape{DType::q4_k, 2, 130, 256}}) {
      const TestWeights w(type, 1, outputs, columns, 6);
      const std::vector<float> x = random_values(rows * columns, 7);
      std::vector<float> expected(rows * outputs), scratch(cpu::matmul_scratch(columns));
      cpu::matmul({x.data(), columns}, rows, w.view(), {expected.data(), outputs}, scratch.data(),
                  pool);
      const std::vector<float> out = multiply(vendor, x.data(), rows, w.gpu());
      for (int64_t i = 0; i < rows * outputs; ++i) {
        const float* row = x.data() + i / outputs * columns;
        ASSERT_NEAR(out[i], expected[i], sum_tolerance(row, w.row(i % outputs), columns))
            << dtype_name(type) << " row " << i / outputs << " output " << i % outputs;
      }
    }
}

TEST(GpuMatmul, ARowAloneIsTheRowAmongOthers) {
  constexpr int64_t kRows = 67, kOutputs = 9, kColumns = 96;
  const TestWeights w(DType::q5_0, 1, kOutputs, kColumns, 8);
  const std::vector<float> x = random_values(kRows * kColumns, 9);
  for (const auto vendor : emulator::kWarpSizes) {
    const std::vector<float> all = multiply(vendor, x.data(), kRows, w.gpu());
    for (const int64_t t : {0, 5, 66}) {
      const std::vector<float> alone = multiply(vendor, x.data() + t * kColumns, 1, w.gpu());
      for (int64_t o = 0; o < kOutputs; ++o) ASSERT_EQ(alone[o], all[t * kOutputs + o]) << t;
    }
  }
}

}  // namespace
}  // namespace potluck
