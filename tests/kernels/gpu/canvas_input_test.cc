// The GPU's canvas_input on the emulator, beside the reference.
#include "kernels/gpu/exact/canvas_input.h"

#include <gtest/gtest.h>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/elementwise.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

constexpr float kEps = 1e-6f;
constexpr int kRows = 4;  // encode, denoise, denoise, and one of no segment

StepParams two_segments() {
  StepParams params{.segment_count = 2, .rows = kRows - 1};
  params.segments[0] = {.mode = Mode::encode, .row_begin = 0, .rows = 1};
  params.segments[1] = {.mode = Mode::denoise, .row_begin = 1, .rows = 2};
  return params;
}

// In place, as the kernel allows; s may be empty.
std::vector<float> run(emulator::Vendor vendor, const StepParams& params, std::vector<float> x,
                       const float* s, int64_t n, gpu::Stored stream) {
  const int rows = x.size() / n;
  emulator::run(vendor, {rows}, gpu::CanvasInput{&params, x.data(), s, x.data(), n, kEps, stream});
  return x;
}

TEST(GpuCanvasInput, IsTheReferenceAndLeavesRowsOfNoSegment) {
  const StepParams params = two_segments();
  for (const auto vendor : emulator::kWarpSizes)
    for (const int64_t n : {1, 67, 300})
      for (const bool with_s : {false, true}) {
        const std::vector<float> x = random_values(kRows * n, 1),
                                 s = random_values(kRows * n, 2, 3);
        std::vector<float> expected = x;
        for (int t = 1; t < kRows - 1; ++t) {
          float* row = expected.data() + t * n;
          if (with_s) cpu::add_row(row, s.data() + t * n, n, row);
          cpu::rms_norm_row(row, nullptr, kEps, n, row);
        }
        const std::vector<float> out =
            run(vendor, params, x, with_s ? s.data() : nullptr, n, gpu::Stored::f32);
        for (size_t i = 0; i < out.size(); ++i)  // half of two sums' n · 2⁻²³, and three products
          ASSERT_NEAR(out[i], expected[i], (n / 2 + 3) * 0x1p-23 * std::abs(expected[i])) << n;
      }
}

TEST(GpuCanvasInput, RoundsToTheStreamAndARowAloneIsTheRowAmongOthers) {
  const StepParams params = two_segments();
  StepParams one{.segment_count = 1, .rows = 1};
  one.segments[0] = {.mode = Mode::denoise, .rows = 1};
  const std::vector<float> x = random_values(kRows * 67, 1), s = random_values(kRows * 67, 2, 3);
  for (const auto vendor : emulator::kWarpSizes)
    for (const DType type : {DType::bf16, DType::f16}) {
      std::vector<float> expected = run(vendor, params, x, s.data(), 67, gpu::Stored::f32);
      cpu::round_to(type, expected.data(), 67 * (kRows - 1));
      EXPECT_EQ(run(vendor, params, x, s.data(), 67, stored_type(type)), expected);
      const std::vector<float> row(x.begin() + 2 * 67, x.begin() + 3 * 67);
      EXPECT_EQ(run(vendor, one, row, s.data() + 2 * 67, 67, stored_type(type)),
                std::vector<float>(expected.begin() + 2 * 67, expected.begin() + 3 * 67));
    }
}

}  // namespace
}  // namespace potluck
