// The GPU's rounding of rows to int8 on the emulator.
#include "kernels/gpu/fast/q8_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

// The largest value by 127, rounded up to 12 bits, so that its level is 127 or a little less.
TEST(GpuQ8Rows, ScalesHaveTwelveBitsAndThoseOfNothingAreZero) {
  constexpr int64_t kBlocks = 9, kN = kBlocks * 32;
  std::vector<float> x = random_values(2 * kN, 22);
  std::fill_n(x.begin() + kN + 64, 32, 0.0f);
  for (const auto vendor : emulator::kVendors) {
    std::vector<int8_t> q(2 * kN, 77);
    std::vector<gpu::Q8Scale> scales(2 * kBlocks);
    emulator::run(vendor, {2}, gpu::Q8Rows{x.data(), q.data(), scales.data(), kN});
    for (int64_t block = 0; block < 2 * kBlocks; ++block) {
      const auto [scale, sum] = scales[block];
      const float *values = &x[block * 32], *end = values + 32;
      const float most = std::fabs(*std::max_element(
          values, end, [](float a, float b) { return std::fabs(a) < std::fabs(b); }));
      EXPECT_EQ(std::bit_cast<uint32_t>(scale) & 0xfff, 0u);
      EXPECT_GE(scale, most / 127);
      EXPECT_LE(scale, most / 127 * (1 + 0x1p-11f));
      float levels = 0;
      for (int i = 0; i < 32; ++i) {
        EXPECT_EQ(q[block * 32 + i], most > 0 ? std::nearbyint(values[i] / scale) : 0) << i;
        levels += q[block * 32 + i];
      }
      EXPECT_EQ(sum, scale * levels);
    }
  }
}

}  // namespace
}  // namespace potluck
