// Each operation is held to a naive loop in double, on odd shapes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/cpu/reference/add_norm.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/experts.h"
#include "kernels/cpu/reference/matmul.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "kernels/cpu/reference/rope.h"

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
  matmul({x.data(), n}, rows, {DType::f32, w.data(), outputs, n}, {out.data(), outputs},
         scratch.data(), pool);
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
  rms_norm({x.data(), w.data(), 1e-6f}, rows, n, out.data(), pool);
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

// Rows are normed in place most often; 35 and 257 are not whole vectors.
TEST(RmsNorm, HasTheSameBitsInPlace) {
  for (int64_t n : {1, 16, 35, 257}) {
    Floats x = random_floats(static_cast<size_t>(n), 7), apart(x.size());
    const Floats w = random_floats(static_cast<size_t>(n), 8);
    rms_norm_row(x.data(), w.data(), 1e-6f, n, apart.data());
    rms_norm_row(x.data(), w.data(), 1e-6f, n, x.data());
    EXPECT_EQ(x, apart) << n;
  }
}

struct Residual {
  int64_t rows = 5, n = 35;
  Floats x1 = floats(21), a = floats(22), b = floats(23);
  Floats weight = random_floats(35, 24), norm_a = random_floats(35, 25),
         norm_b = random_floats(35, 26);

  Floats floats(uint32_t seed) const { return random_floats(static_cast<size_t>(rows * n), seed); }
  Floats normed(const Floats& h, const Floats& norm) const {
    ThreadPool pool(1);
    Floats out(h.size());
    rms_norm({h.data(), norm.data(), 1e-6f}, rows, n, out.data(), pool);
    return out;
  }
  Floats add(const Branch& first, const Branch& second, DType stream = DType::f32) const {
    ThreadPool pool(2);
    Floats out(x1.size());
    add_norm({x1.data(), first, second, weight.data(), 1e-6f, 0.75f, stream}, rows, n, out.data(),
             pool);
    return out;
  }
};

TEST(AddNorm, AddsTheNormOfTheSumOfItsBranches) {
  const Residual r;
  const Floats out = r.add({r.a.data()}, {r.b.data()});
  for (int64_t t = 0; t < r.rows; ++t) {
    const auto at = [&](int64_t i) { return static_cast<size_t>(t * r.n + i); };
    double squares = 0;
    for (int64_t i = 0; i < r.n; ++i)
      squares += std::pow(static_cast<double>(r.a[at(i)]) + r.b[at(i)], 2);
    const double rms = std::sqrt(squares / static_cast<double>(r.n) + 1e-6);
    for (int64_t i = 0; i < r.n; ++i) {
      const double h = static_cast<double>(r.a[at(i)]) + r.b[at(i)],
                   term = h / rms * r.weight[static_cast<size_t>(i)], x1 = r.x1[at(i)];
      const double size = std::fabs(x1) + std::fabs(term);
      EXPECT_NEAR(out[at(i)], (x1 + term) * 0.75, 10 * 0x1p-24 * size);
    }
  }
}

// A branch with a norm has the bits of rms_norm before it.
TEST(AddNorm, NormsItsBranchesAsAPassOfTheirOwnWould) {
  const Residual r;
  const Floats a = r.normed(r.a, r.norm_a), b = r.normed(r.b, r.norm_b);
  for (DType stream : {DType::f32, DType::bf16}) {
    EXPECT_EQ(r.add({r.a.data(), r.norm_a.data()}, {r.b.data(), r.norm_b.data()}, stream),
              r.add({a.data()}, {b.data()}, stream));
    EXPECT_EQ(r.add({r.a.data(), r.norm_a.data()}, {}, stream), r.add({a.data()}, {}, stream));
    EXPECT_EQ(r.add({r.a.data(), r.norm_a.data()}, {r.b.data()}, stream),
              r.add({a.data()}, {r.b.data()}, stream));
  }
}

TEST(Rope, RotatesThePairsOfEveryHead) {
  constexpr int kHeads = 3, kDim = 40, kPairs = 17;
  const Floats x = random_floats(kHeads * kDim, 27);
  Floats out = x;
  float frequency[kPairs], sine[kPairs], cosine[kPairs];
  rope_frequencies(kDim, kPairs, 1e4f, frequency);
  for (int j = 0; j < kPairs; ++j)
    EXPECT_NEAR(frequency[j], std::pow(1e4, -2.0 * j / kDim), frequency[j] * 0x1p-23);
  rope_angles(1234, frequency, kPairs, sine, cosine);
  rope_row(out.data(), sine, cosine, kHeads, kDim, kPairs);
  for (int h = 0; h < kHeads; ++h)
    for (int j = 0; j < kDim / 2; ++j) {
      const auto low = static_cast<size_t>(h * kDim + j), high = low + kDim / 2;
      // The angle is a product of f32; its rounding, 1234 · 2⁻²⁴, is part of what is defined.
      const double angle = j < kPairs ? 1234.0f * frequency[j] : 0.0;
      const double a = x[low], b = x[high], size = (std::fabs(a) + std::fabs(b)) * 3 * 0x1p-24;
      EXPECT_NEAR(out[low], a * std::cos(angle) - b * std::sin(angle), size);
      EXPECT_NEAR(out[high], b * std::cos(angle) + a * std::sin(angle), size);
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
  experts({x.data(), rows, expert.data(), weight.data()}, view, out.data(), scratch.data(), pool);
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
