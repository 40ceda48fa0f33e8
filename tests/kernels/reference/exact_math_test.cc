// Functions of our own against the long double ones of the system.
#include "kernels/cpu/reference/exact_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/fast/fast_math.h"
#include "kernels/cpu/fast/gelu.h"

namespace potluck::cpu {
namespace {

constexpr int kSamples = 200000;

// Distance from the long double truth in units of the last place of the type.
template <typename T>
double ulps(T actual, long double truth) {
  const T rounded = static_cast<T>(truth);
  const T next = std::nextafter(rounded, std::numeric_limits<T>::infinity());
  return static_cast<double>(
      std::fabs((actual - truth) / (static_cast<long double>(next) - rounded)));
}

template <typename T, typename Ours, typename Truth>
double worst_ulps(T low, T high, Ours ours, Truth truth) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<T> uniform(low, high);
  double worst = 0;
  for (int i = 0; i < kSamples; ++i) {
    const T x = uniform(random);
    worst = std::max(worst, ulps<T>(ours(x), truth(static_cast<long double>(x))));
  }
  return worst;
}

TEST(ExactMath, ExpIsWithinTwoUlpsInFloatAndFourInDouble) {
  EXPECT_LE(
      worst_ulps<float>(
          -87, 88, [](float x) { return exact_exp(x); }, [](long double x) { return std::exp(x); }),
      2);
  EXPECT_LE(worst_ulps<double>(
                -700, 700, [](double x) { return exact_exp(x); },
                [](long double x) { return std::exp(x); }),
            4);
  EXPECT_EQ(exact_exp(0.0f), 1.0f);
  EXPECT_EQ(exact_exp(-200.0f), 0.0f);
}

TEST(ExactMath, TanhIsWithinTwoUlps) {
  for (float reach : {0.001f, 0.1f, 12.0f})
    EXPECT_LE(worst_ulps<float>(
                  -reach, reach, [](float x) { return exact_tanh(x); },
                  [](long double x) { return std::tanh(x); }),
              2)
        << reach;
}

// The inputs are all that vocabulary attention can hand over. The errors are roundings of 2⁻²⁴:
// three of an exponential, five of a soft cap.
TEST(ExactMath, FastFormsAreWithinTheirFewRoundings) {
  std::mt19937_64 random(11);
  double exp_worst = 0, cap_worst = 0;
  for (float reach : {1e-4f, 0.01f, 1.0f, 10.0f, 87.0f}) {
    std::uniform_real_distribution<float> uniform(-reach, reach);
    std::vector<float> x(kSamples);
    for (float& v : x) v = uniform(random);
    std::vector<float> exps = x, caps = x;
    for (float& v : caps) v *= 5;
    const std::vector<float> logits = caps;
    fast_exps(exps.data(), kSamples, 0);
    fast_softcaps(caps.data(), kSamples, 30);
    for (size_t i = 0; i < x.size(); ++i) {
      const double e = std::exp(static_cast<double>(x[i]));
      const double c = 30 * std::tanh(static_cast<double>(logits[i]) / 30);
      exp_worst = std::max(exp_worst, std::fabs(exps[i] - e) / e);
      cap_worst = std::max(cap_worst, std::fabs(caps[i] - c) / std::fabs(c));
    }
  }
  EXPECT_LE(exp_worst, 3 * 0x1p-24);
  EXPECT_LE(cap_worst, 5 * 0x1p-24);
}

TEST(ExactMath, FastFormsHoldAtTheirEnds) {
  const float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> x = {0, -87.4f, -1e30f, -kInfinity, std::nanf("")};
  fast_exps(x.data(), static_cast<int64_t>(x.size()), 0);
  EXPECT_EQ(std::vector<float>(x.begin(), x.end() - 1), (std::vector<float>{1, 0, 0, 0}));
  EXPECT_TRUE(std::isnan(x.back()));
  x = {0, 1e-30f, -1e30f, kInfinity, std::nanf("")};
  fast_softcaps(x.data(), static_cast<int64_t>(x.size()), 30);
  EXPECT_EQ(x[0], 0);
  EXPECT_FLOAT_EQ(x[1], 1e-30f);
  EXPECT_EQ(x[2], -30);
  EXPECT_EQ(x[3], 30);
  EXPECT_TRUE(std::isnan(x.back()));
}

// Eight roundings of |gate · up|: six of what is multiplied and divided, and four of 2u, of which
// e^(−2u) / (1 + e^(−2u))² · 2u lets through 0.28.
TEST(ExactMath, FastGeluIsWithinItsRoundings) {
  std::mt19937_64 random(13);
  for (float reach : {1e-3f, 1.0f, 6.0f, 40.0f}) {
    std::uniform_real_distribution<float> uniform(-reach, reach);
    std::vector<float> gate(kSamples), up(kSamples), out(kSamples);
    for (float& v : gate) v = uniform(random);
    for (float& v : up) v = uniform(random);
    fast_gelu_mul_row(gate.data(), up.data(), kSamples, out.data());
    for (size_t i = 0; i < out.size(); ++i) {
      const double g = gate[i], u = 0.7978845608 * (g + 0.044715 * g * g * g);
      const double expected = 0.5 * g * (1 + std::tanh(u)) * up[i];
      ASSERT_NEAR(out[i], expected, std::fabs(g * up[i]) * 0x1p-21) << gate[i] << " · " << up[i];
    }
  }
}

TEST(ExactMath, FastGeluHoldsAtItsEndsAndInPlace) {
  std::vector<float> gate = {0, -1e20f, 1e20f, -50, 50, std::nanf("")};
  const std::vector<float> up(gate.size(), 2.0f);
  fast_gelu_mul_row(gate.data(), up.data(), static_cast<int64_t>(gate.size()), gate.data());
  EXPECT_EQ(gate[0], 0);
  EXPECT_NEAR(gate[1], 0, 1e-17);
  EXPECT_EQ(gate[2], 2e20f);
  EXPECT_NEAR(gate[3], 0, 1e-30);
  EXPECT_EQ(gate[4], 100);
  EXPECT_TRUE(std::isnan(gate[5]));
}

TEST(ExactMath, LogIsWithinFourUlps) {
  EXPECT_LE(worst_ulps<double>(
                1e-300, 0.5, [](double x) { return exact_log(x); },
                [](long double x) { return std::log(x); }),
            4);
  EXPECT_LE(worst_ulps<double>(
                2, 1e12, [](double x) { return exact_log(x); },
                [](long double x) { return std::log(x); }),
            4);
  EXPECT_EQ(exact_log(1.0), 0.0);
}

// The error is absolute: near a zero of sine the angle's own reduction decides; 2^20·2⁻⁵³ is its
// error at most.
TEST(ExactMath, SineAndCosineHoldOverAMillionPositions) {
  std::mt19937_64 random(9);
  std::uniform_real_distribution<double> angle(0, 1 << 20);
  for (int i = 0; i < kSamples; ++i) {
    const double x = angle(random);
    double sine, cosine;
    exact_sincos(x, &sine, &cosine);
    ASSERT_NEAR(sine, static_cast<double>(std::sin(static_cast<long double>(x))), 1e-12) << x;
    ASSERT_NEAR(cosine, static_cast<double>(std::cos(static_cast<long double>(x))), 1e-12) << x;
  }
}

// The array forms have the same bits, whatever vectors the compiler makes of them.
TEST(ExactMath, ArraysHaveTheBitsOfTheirScalars) {
  std::vector<float> x;
  for (float v = -120; v < 100; v += 0.0137f) x.push_back(v);
  std::vector<float> exps = x, caps = x;
  exact_exps(exps.data(), static_cast<int64_t>(x.size()), 1.5f);
  exact_softcaps(caps.data(), static_cast<int64_t>(x.size()), 30.0f);
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(exps[i], exact_exp(x[i] - 1.5f)) << x[i];
    ASSERT_EQ(caps[i], 30.0f * exact_tanh(x[i] / 30.0f)) << x[i];
  }
  std::vector<double> angle(x.begin(), x.end()), sine(x.size()), cosine(x.size());
  exact_sincos(angle.data(), static_cast<int64_t>(angle.size()), sine.data(), cosine.data());
  for (size_t i = 0; i < angle.size(); ++i) {
    double s, c;
    exact_sincos(angle[i], &s, &c);
    ASSERT_EQ(sine[i], s);
    ASSERT_EQ(cosine[i], c);
  }
}

}  // namespace
}  // namespace potluck::cpu
