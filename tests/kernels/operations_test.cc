// Each operation against a naive loop in double, on odd shapes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/cpu/dequantize.h"
#include "kernels/cpu/reference.h"

namespace potluck::cpu {
namespace {

using Floats = std::vector<float>;

Floats random_floats(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats values(n);
  for (float& v : values) v = normal(random);
  return values;
}

Floats multiply(const Floats& x, int64_t rows, const Floats& w, int64_t outputs, int64_t n,
                int threads) {
  ThreadPool pool(threads);
  Floats out(static_cast<size_t>(rows * outputs)),
      scratch(matmul_scratch(n) * static_cast<size_t>(threads));
  matmul(x.data(), n, rows, {DType::f32, w.data(), outputs, n}, out.data(), outputs, scratch.data(),
         pool);
  return out;
}

// |error| ≤ n·2⁻²⁴·Σ|x·w|: each of n products and sums rounds once.
TEST(Matmul, MeetsADoubleLoopOnOddShapes) {
  for (auto [rows, outputs, n] :
       {std::array{1, 1, 1}, {3, 5, 17}, {9, 33, 100}, {17, 18, 256}, {5, 16, 31}}) {
    const Floats x = random_floats(static_cast<size_t>(rows * n), 1);
    const Floats w = random_floats(static_cast<size_t>(outputs * n), 2);
    const Floats out = multiply(x, rows, w, outputs, n, 2);
    for (int t = 0; t < rows; ++t)
      for (int o = 0; o < outputs; ++o) {
        double sum = 0, magnitude = 0;
        for (int i = 0; i < n; ++i) {
          const double product = static_cast<double>(x[static_cast<size_t>(t * n + i)]) *
                                 w[static_cast<size_t>(o * n + i)];
          sum += product;
          magnitude += std::fabs(product);
        }
        ASSERT_NEAR(out[static_cast<size_t>(t * outputs + o)], sum,
                    n * 0x1p-24 * magnitude + 1e-30);
      }
  }
}

TEST(Matmul, BitsDoNotDependOnThreadsOrOnOtherRows) {
  const int64_t rows = 13, outputs = 37, n = 75;
  const Floats x = random_floats(static_cast<size_t>(rows * n), 3);
  const Floats w = random_floats(static_cast<size_t>(outputs * n), 4);
  const Floats whole = multiply(x, rows, w, outputs, n, 1);
  for (int threads : {2, 3}) EXPECT_EQ(multiply(x, rows, w, outputs, n, threads), whole);
  for (int64_t t = 0; t < rows; ++t) {
    const Floats row(x.begin() + t * n, x.begin() + (t + 1) * n);
    const Floats alone = multiply(row, 1, w, outputs, n, 1);
    EXPECT_EQ(std::memcmp(alone.data(), whole.data() + t * outputs, alone.size() * 4), 0) << t;
  }
}

TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  ThreadPool pool(2);
  const int64_t rows = 5, n = 35;
  const Floats x = random_floats(static_cast<size_t>(rows * n), 5),
               w = random_floats(static_cast<size_t>(n), 6);
  Floats out(x.size());
  rms_norm(x.data(), w.data(), 1e-6f, rows, n, out.data(), pool);
  for (int64_t t = 0; t < rows; ++t) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += std::pow(x[static_cast<size_t>(t * n + i)], 2.0);
    for (int64_t i = 0; i < n; ++i) {
      const double expected =
          x[static_cast<size_t>(t * n + i)] / std::sqrt(sum / n + 1e-6) * w[static_cast<size_t>(i)];
      EXPECT_NEAR(out[static_cast<size_t>(t * n + i)], expected, 8 * 0x1p-24 * std::fabs(expected));
    }
  }
}

// One expert hit by all rows, others by none, and a plain mix: against a loop over (row, k).
TEST(Experts, AreTheWeightedSumOfTheChosenOnes) {
  const int64_t rows = 7, hidden = 20, inner = 9;
  const int count = 5, used = 2;
  const Floats x = random_floats(static_cast<size_t>(rows * hidden), 12);
  const Floats gate_up = random_floats(static_cast<size_t>(count * 2 * inner * hidden), 13);
  const Floats down = random_floats(static_cast<size_t>(count * hidden * inner), 14);
  const ExpertsView view{{DType::f32, gate_up.data(), count * 2 * inner, hidden},
                         {DType::f32, down.data(), count * hidden, inner},
                         count,
                         used,
                         inner,
                         hidden};
  std::vector<int32_t> expert;
  Floats weight;
  for (int64_t t = 0; t < rows; ++t) {
    expert.insert(expert.end(), {3, static_cast<int32_t>(t % 2)});
    weight.insert(weight.end(), {0.75f, 0.5f});
  }
  ThreadPool pool(3);
  std::vector<std::byte> scratch(experts_scratch(view, rows, 3));
  Floats out(x.size());
  experts(x.data(), rows, view, expert.data(), weight.data(), out.data(), scratch.data(), pool);
  const auto gelu = [](double u) {
    return 0.5 * u * (1 + std::tanh(0.7978845608 * (u + 0.044715 * u * u * u)));
  };
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t o = 0; o < hidden; ++o) {
      double sum = 0, magnitude = 0;
      for (int k = 0; k < used; ++k) {
        const int64_t e = expert[static_cast<size_t>(t * used + k)];
        for (int64_t m = 0; m < inner; ++m) {
          double g = 0, u = 0;
          for (int64_t i = 0; i < hidden; ++i) {
            const double xi = x[static_cast<size_t>(t * hidden + i)];
            g += xi * gate_up[static_cast<size_t>(((e * 2 * inner) + m) * hidden + i)];
            u += xi * gate_up[static_cast<size_t>(((e * 2 + 1) * inner + m) * hidden + i)];
          }
          const double term = weight[static_cast<size_t>(t * used + k)] * gelu(g) * u *
                              down[static_cast<size_t>((e * hidden + o) * inner + m)];
          sum += term;
          magnitude += std::fabs(term);
        }
      }
      EXPECT_NEAR(out[static_cast<size_t>(t * hidden + o)], sum, 64 * 0x1p-24 * magnitude);
    }
}

TEST(ThreadPool, RunsEachIndexOnce) {
  ThreadPool pool(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> hits(17, 0);
    pool.for_each(17, [&](int64_t i, int) { ++hits[static_cast<size_t>(i)]; });
    ASSERT_EQ(hits, std::vector<int>(17, 1));
  }
}

}  // namespace
}  // namespace potluck::cpu
