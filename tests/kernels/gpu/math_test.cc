// The device's functions against the long double ones of the system, and the double ones against
// the reference's bits.
#include "kernels/gpu/device/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "kernels/cpu/reference/exact_math.h"

namespace potluck::gpu {
namespace {

constexpr int kSamples = 200000;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The greatest distance from the long double truth over [low, high], in units of the last place of
// an f32.
template <typename Ours, typename Truth>
double worst_ulps(float low, float high, Ours ours, Truth truth) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<float> uniform(low, high);
  double worst = 0;
  for (int i = 0; i < kSamples; ++i) {
    const float x = uniform(random);
    const long double expected = truth(x);
    const float rounded = std::fabs(expected);
    const double ulp = double(std::nextafter(rounded, kInfinity)) - rounded;
    worst = std::max(worst, std::fabs(double(ours(x) - expected)) / ulp);
  }
  return worst;
}

TEST(GpuMath, ExpIsWithinTwoUlps) {
  const auto ours = [](float x) { return exp(x); };
  const auto truth = [](long double x) { return std::exp(x); };
  EXPECT_LE(worst_ulps(-87.3f, 88.7f, ours, truth), 2);
  EXPECT_LE(worst_ulps(-1, 1, ours, truth), 2);
  EXPECT_EQ(exp(0.0f), 1.0f);
  EXPECT_EQ(exp(-200.0f), 0.0f);
  EXPECT_EQ(exp(-kInfinity), 0.0f);
  EXPECT_EQ(exp(89.0f), kInfinity);
  EXPECT_EQ(exp(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(exp(std::nanf(""))));
}

TEST(GpuMath, TanhIsWithinThreeUlps) {
  for (const float reach : {1e-30f, 0.001f, 0.1f, 1.0f, 12.0f})
    EXPECT_LE(worst_ulps(
                  -reach, reach, [](float x) { return tanh(x); },
                  [](long double x) { return std::tanh(x); }),
              3)
        << reach;
  EXPECT_EQ(tanh(30.0f), 1.0f);
  EXPECT_EQ(tanh(-kInfinity), -1.0f);
  EXPECT_EQ(tanh(0.0f), 0.0f);
  EXPECT_TRUE(std::isnan(tanh(std::nanf(""))));
}

TEST(GpuMath, LogIsWithinThreeUlps) {
  const auto ours = [](float x) { return log(x); };
  const auto truth = [](long double x) { return std::log(x); };
  for (const auto& [low, high] :
       {std::pair{1e-37f, 1e-30f}, {1e-6f, 0.5f}, {0.5f, 0.999f}, {1.001f, 3.0f}, {3.0f, 1e30f}})
    EXPECT_LE(worst_ulps(low, high, ours, truth), 3) << low;
  EXPECT_EQ(log(1.0f), 0.0f);
}

TEST(GpuMath, DoublesHaveTheBitsOfTheReference) {
  std::mt19937_64 random(9);
  std::uniform_real_distribution<double> exponent(-720, 720), angle(-(1 << 20), 1 << 20);
  for (int i = 0; i < kSamples; ++i) {
    const double e = exponent(random), x = angle(random), positive = cpu::exact_exp(e / 2);
    ASSERT_EQ(exp(e), cpu::exact_exp(e)) << e;
    ASSERT_EQ(log(positive), cpu::exact_log(positive)) << positive;
    double sine, cosine;
    cpu::exact_sincos(x, &sine, &cosine);
    const SineCosine ours = sine_cosine(x);
    ASSERT_EQ(ours.sine, sine) << x;
    ASSERT_EQ(ours.cosine, cosine) << x;
  }
  EXPECT_TRUE(std::isnan(exp(std::nan(""))));
}

TEST(GpuMath, SoftcapIsTheCapTimesTanh) {
  const auto truth = [](long double x) { return 30 * std::tanh(x / 30); };
  for (const float reach : {0.01f, 30.0f, 300.0f})
    EXPECT_LE(worst_ulps(
                  -reach, reach, [](float x) { return softcap(x, 30); }, truth),
              5)
        << reach;
}

// The error is, of |x|, four roundings of v, of which e^(−2v) / (1 + e^(−2v))² · 2v lets through
// 0.45, and three of what follows.
TEST(GpuMath, GeluIsWithinItsRoundings) {
  std::mt19937_64 random(13);
  for (const float reach : {1e-3f, 1.0f, 6.0f, 40.0f}) {
    std::uniform_real_distribution<float> uniform(-reach, reach);
    for (int i = 0; i < kSamples; ++i) {
      const float x = uniform(random);
      const double wide = x, v = 0.7978845608 * (wide + 0.044715 * wide * wide * wide);
      ASSERT_NEAR(gelu(x), wide / 2 * (1 + std::tanh(v)), std::fabs(x) * 5 * 0x1p-24) << x;
    }
  }
  EXPECT_EQ(gelu(1e20f), 1e20f);
  EXPECT_EQ(gelu(-1e20f), 0.0f);
  EXPECT_TRUE(std::isnan(gelu(std::nanf(""))));
}

TEST(GpuMath, RoundsToBf16AsTheHostDoes) {
  for (uint32_t i = 0; i < 1 << 20; ++i) {
    const float x = float_of(i * 4093);
    ASSERT_EQ(float_to_bf16(x), bf16_from_f32(x)) << x;
  }
  for (const uint32_t bits : {0x3f808000u, 0x3f818000u, 0x7f7fffffu, 0x7f800001u, 0xffffffffu}) {
    ASSERT_EQ(float_to_bf16(float_of(bits)), bf16_from_f32(float_of(bits))) << bits;
    ASSERT_EQ(bits_of(bf16_to_float(bits >> 16)), bits_of(f32_from_bf16(bits >> 16)));
  }
}

TEST(GpuMath, RoundsToTheTypesOfStreams) {
  EXPECT_EQ(round_to(Stored::f32, 1.2345678f), 1.2345678f);
  EXPECT_EQ(round_to(Stored::bf16, 1.2345678f), f32_from_bf16(bf16_from_f32(1.2345678f)));
  EXPECT_EQ(round_to(Stored::f16, 1.2345678f), f32_from_f16(f16_from_f32(1.2345678f)));
}

}  // namespace
}  // namespace potluck::gpu
