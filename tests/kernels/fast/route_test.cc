// The router, reference and fast, is held to a loop in double.
#include "kernels/cpu/fast/route.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/route.h"
#include "tests/kernels/stored_weights.h"

namespace potluck::cpu {
namespace {

// A router over a few more rows than a task takes, of a type that is dequantized and of one that is
// used as it lies.
struct Router {
  int64_t rows = 37, hidden = 80, experts = 21;
  int used = 4;
  DType type;
  Floats x = random_floats(37 * 80, 31), scale = random_floats(80, 32),
         each = random_floats(21, 33);
  std::vector<std::byte> stored;
  Floats wide = Floats(21 * 80);

  explicit Router(DType type_) : type(type_), stored(row_bytes(type_, 21 * 80)) {
    quantize_row(type, random_floats(21 * 80, 34).data(), stored.data(), 21 * 80);
    dequantize_row(type, stored.data(), wide.data(), 21 * 80);
  }

  struct Chosen {
    std::vector<int32_t> expert;
    Floats weight;
    bool operator==(const Chosen&) const = default;
  };
  Chosen choose(decltype(route)* by, int64_t first, int64_t count, int threads) const {
    ThreadPool pool(threads);
    const auto slots = static_cast<size_t>(count * used);
    Chosen chosen{std::vector<int32_t>(slots), Floats(slots)};
    Floats scratch(route_scratch(count, hidden, experts, threads));
    by({x.data() + first * hidden, count, chosen.expert.data(), chosen.weight.data()},
       {scale.data(), {type, stored.data(), experts, hidden}, each.data(), 1e-6f, used},
       scratch.data(), pool);
    return chosen;
  }

  // Also finds Σ |terms| of the largest logit, by which its rounding is measured.
  std::vector<double> probabilities(int64_t t, double* magnitude) const {
    double squares = 0, sum = 0;
    for (int64_t i = 0; i < hidden; ++i)
      squares += std::pow(x[static_cast<size_t>(t * hidden + i)], 2.0);
    const double rms = std::sqrt(squares / static_cast<double>(hidden) + 1e-6);
    std::vector<double> p(static_cast<size_t>(experts));
    for (size_t e = 0; e < p.size(); ++e) {
      double size = 0;
      for (int64_t i = 0; i < hidden; ++i) {
        const double term = x[static_cast<size_t>(t * hidden + i)] / rms *
                            scale[static_cast<size_t>(i)] / std::sqrt(static_cast<double>(hidden)) *
                            wide[e * static_cast<size_t>(hidden) + static_cast<size_t>(i)];
        p[e] += term;
        size += std::fabs(term);
      }
      *magnitude = std::max(*magnitude, size);
    }
    for (double& v : p) sum += v = std::exp(v);
    for (double& v : p) v /= sum;
    return p;
  }
};

// A logit is wrong by (hidden + 8) · 2⁻²⁴ of Σ |its terms| at most, a probability by as much of
// itself for its own and for the sum's, and a weight for those of its k.
TEST(Route, ChoosesTheLikeliestExperts) {
  for (DType type : {DType::f32, DType::bf16})
    for (auto* by : {&route, &fast_route}) {
      const Router r(type);
      const Router::Chosen chosen = r.choose(by, 0, r.rows, 2);
      for (int64_t t = 0; t < r.rows; ++t) {
        double magnitude = 0;
        std::vector<double> p = r.probabilities(t, &magnitude);
        const double relative = 4 * static_cast<double>(r.hidden + 8) * 0x1p-24 * magnitude + 1e-6;
        double sum = 0;
        const auto slot = [&](int k) { return static_cast<size_t>(t * r.used + k); };
        for (int k = 0; k < r.used; ++k) sum += p[static_cast<size_t>(chosen.expert[slot(k)])];
        for (int k = 0; k < r.used; ++k) {
          const auto e = static_cast<size_t>(chosen.expert[slot(k)]);
          const double most = *std::max_element(p.begin(), p.end());
          ASSERT_GE(p[e], most * (1 - relative)) << "row " << t << ", choice " << k;
          const double expected = p[e] / sum * r.each[e];
          ASSERT_NEAR(chosen.weight[slot(k)], expected, std::fabs(expected) * relative);
          p[e] = -1;
        }
      }
    }
}

TEST(Route, BitsDependOnNeitherThreadsNorNeighbours) {
  const Router r(DType::bf16);
  for (auto* by : {&route, &fast_route}) {
    const Router::Chosen whole = r.choose(by, 0, r.rows, 1);
    EXPECT_TRUE(r.choose(by, 0, r.rows, 3) == whole);
    for (int64_t t = 0; t < r.rows; ++t) {
      const auto first = static_cast<size_t>(t * r.used);
      const Router::Chosen alone = r.choose(by, t, 1, 1);
      for (size_t k = 0; k < alone.expert.size(); ++k) {
        EXPECT_EQ(alone.expert[k], whole.expert[first + k]);
        EXPECT_EQ(alone.weight[k], whole.weight[first + k]);
      }
    }
  }
}

// The lowest of equal experts comes first.
TEST(Route, TakesTheLowestOfEqualExperts) {
  Router r(DType::f32);
  std::fill(r.stored.begin(), r.stored.end(), std::byte{0});
  for (auto* by : {&route, &fast_route}) {
    const Router::Chosen chosen = r.choose(by, 0, 1, 1);
    EXPECT_EQ(chosen.expert, (std::vector<int32_t>{0, 1, 2, 3}));
  }
}

}  // namespace
}  // namespace potluck::cpu
