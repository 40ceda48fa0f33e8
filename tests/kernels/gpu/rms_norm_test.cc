// The GPU's RMS norm on the emulator, beside the reference.
#include "kernels/cpu/reference/rms_norm.h"

#include <gtest/gtest.h>

#include "tests/emulator/emulator.h"

namespace potluck {
namespace {

TEST(GpuRmsNorm, IsTheReferenceAndTakesNoWeightForOne) {
  for (const auto vendor : emulator::kWarpSizes)
    for (const int64_t n : {1, 31, 33, 256, 700}) {
      std::vector<float> x(3 * n), weight(n), out(3 * n), expected(n);
      for (size_t i = 0; i < x.size(); ++i) x[i] = float(i * 37 % 101) - 50;
      for (int64_t i = 0; i < n; ++i) weight[i] = float(i % 7) - 3;
      emulator::run(vendor, {3}, gpu::RmsNorm{x.data(), weight.data(), out.data(), n, 1e-6f});
      for (int t = 0; t < 3; ++t) {
        cpu::rms_norm_row(x.data() + t * n, weight.data(), 1e-6f, n, expected.data());
        for (int64_t i = 0; i < n; ++i) ASSERT_NEAR(out[t * n + i], expected[i], 1e-5) << n;
      }
      const std::vector<float> ones(n, 1), weighted = out;
      emulator::run(vendor, {3}, gpu::RmsNorm{x.data(), ones.data(), out.data(), n, 1e-6f});
      emulator::run(vendor, {3}, gpu::RmsNorm{x.data(), nullptr, x.data(), n, 1e-6f});
      EXPECT_EQ(x, out);
      EXPECT_NE(x, weighted);
    }
}

}  // namespace
}  // namespace potluck
