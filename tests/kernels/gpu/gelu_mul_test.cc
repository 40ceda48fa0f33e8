// The GPU's gated activation on the emulator, beside the reference.
#include "kernels/gpu/exact/gelu_mul.h"

#include <gtest/gtest.h>

#include "kernels/cpu/reference/gelu.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

// gelu() is off by 5 · 2⁻²⁴ of |gate| (kernels/gpu/device/math.h), the reference by 6 · 2⁻²⁴: three
// of 1 + tanh and three products. Another product follows.
TEST(GpuGeluMul, IsTheReferenceInPlaceAndApart) {
  for (const auto vendor : emulator::kWarpSizes)
    for (const int64_t count : {1, 255, 256, 600}) {
      std::vector<float> gate = random_values(count, 1, 6);
      const std::vector<float> up = random_values(count, 2), before = gate;
      std::vector<float> out(count + 1, -777), expected(count);
      cpu::gelu_mul_row(gate.data(), up.data(), count, expected.data());
      const int blocks = (count + gpu::kGeluMulValues - 1) / gpu::kGeluMulValues;
      emulator::run(vendor, {blocks}, gpu::GeluMul{gate.data(), up.data(), out.data(), count});
      for (int64_t i = 0; i < count; ++i)
        ASSERT_NEAR(out[i], expected[i], 13 * 0x1p-24 * std::abs(before[i] * up[i])) << i;
      EXPECT_EQ(out[count], -777);
      emulator::run(vendor, {blocks}, gpu::GeluMul{gate.data(), up.data(), gate.data(), count});
      out.resize(count);
      EXPECT_EQ(gate, out);
    }
}

}  // namespace
}  // namespace potluck
