// The GPU's router on the emulator, beside the reference.
#include "kernels/cpu/reference/route.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

constexpr float kEps = 1e-6f;

struct Choices {
  std::vector<int32_t> expert;
  std::vector<float> weight;
  bool operator==(const Choices&) const = default;
};

// A router over random rows.
struct Router {
  int64_t hidden, experts;
  int used;
  std::vector<float> scale, per_expert_scale;

  Router(int64_t columns, int64_t count, int chosen)
      : hidden(columns), experts(count), used(chosen) {
    scale = random_values(hidden, 2, 2);
    per_expert_scale = random_values(experts, 3, 2);
  }

  Choices run(emulator::Vendor vendor, const float* x, int64_t rows, const gpu::Weights& w) const {
    Choices out{std::vector<int32_t>(rows * used, -7), std::vector<float>(rows * used, -7)};
    const int blocks = (rows + gpu::kRouteRows - 1) / gpu::kRouteRows;
    emulator::run(vendor, {blocks},
                  gpu::Route{x, scale.data(), w, per_expert_scale.data(), out.expert.data(),
                             out.weight.data(), rows, used, kEps});
    return out;
  }

  Choices reference(const float* x, int64_t rows, const cpu::WeightView& w) const {
    Choices out{std::vector<int32_t>(rows * used), std::vector<float>(rows * used)};
    cpu::ThreadPool pool(1);
    std::vector<float> scratch(cpu::route_scratch(rows, hidden, experts, 1));
    cpu::route({x, rows, out.expert.data(), out.weight.data()},
               {scale.data(), w, per_expert_scale.data(), kEps, used}, scratch.data(), pool);
    return out;
  }

  // Returns what the logits of a row may be off by: ε = (H / 2 + 6) · 2⁻²³ of the norm and the
  // products of its value, and the two sums' tolerance.
  double logit_tolerance(const float* x, const TestWeights& w) const {
    double squares = 0, most = 0;
    for (int64_t i = 0; i < hidden; ++i) squares += static_cast<double>(x[i]) * x[i];
    std::vector<float> r(hidden);
    for (int64_t i = 0; i < hidden; ++i) r[i] = x[i] * scale[i] / std::sqrt(squares);
    for (int64_t e = 0; e < experts; ++e)
      most = std::max(most, sum_tolerance(r.data(), w.row(e), hidden) * 1.5);
    return most + 6 * most / hidden;
  }
};

struct Shape {
  DType type;
  int64_t rows, hidden, experts;
  int used;
};

// A weight is the quotient of exponentials, each off by the logits' tolerance of itself, and of a
// few roundings. (That no two experts lie closer than this is so for these seeds.)
TEST(GpuRoute, IsTheReference) {
  for (const auto vendor : emulator::kWarpSizes)
    for (const Shape shape : {Shape{DType::f32, 1, 1, 1, 1}, Shape{DType::f32, 5, 67, 9, 3},
                              Shape{DType::bf16, 4, 1100, 33, 8}, Shape{DType::f16, 3, 40, 256, 8},
                              Shape{DType::q8_0, 2, 2080, 40, 32}}) {
      const Router router(shape.hidden, shape.experts, shape.used);
      const TestWeights w(shape.type, 1, shape.experts, shape.hidden, 4);
      const std::vector<float> x = random_values(shape.rows * shape.hidden, 5, 3);
      const Choices out = router.run(vendor, x.data(), shape.rows, w.gpu());
      const Choices expected = router.reference(x.data(), shape.rows, w.view());
      EXPECT_EQ(out.expert, expected.expert) << dtype_name(shape.type);
      for (size_t i = 0; i < out.weight.size(); ++i) {
        const double off = router.logit_tolerance(x.data() + i / shape.used * shape.hidden, w);
        ASSERT_NEAR(out.weight[i], expected.weight[i],
                    (2 * off + 16 * 0x1p-23) * std::fabs(expected.weight[i]))
            << dtype_name(shape.type) << ' ' << i;
      }
    }
}

TEST(GpuRoute, OfEqualExpertsTheLowerIndexWins) {
  constexpr int64_t kExperts = 70;
  const Router router(3, kExperts, 8);
  const std::vector<float> x = {1, -2, router.scale[2]};  // whose product with scale is positive
  std::vector<float> w(kExperts * 3, 0.25f);
  for (const int e : {69, 37, 5}) w[e * 3 + 2] = 4;  // the best, all the same
  const auto* blocks = reinterpret_cast<const uint8_t*>(w.data());
  for (const auto vendor : emulator::kWarpSizes) {
    const Choices out =
        router.run(vendor, x.data(), 1, {blocks, kExperts, 3, 12, gpu::Stored::f32});
    EXPECT_EQ(out.expert, (std::vector<int32_t>{5, 37, 69, 0, 1, 2, 3, 4}));
  }
}

TEST(GpuRoute, ARowAloneIsTheRowAmongOthers) {
  const Router router(96, 20, 4);
  const TestWeights w(DType::q8_0, 1, 20, 96, 6);
  const std::vector<float> x = random_values(7 * 96, 7);
  for (const auto vendor : emulator::kWarpSizes) {
    const Choices all = router.run(vendor, x.data(), 7, w.gpu());
    for (const int t : {0, 3, 6}) {
      const Choices alone = router.run(vendor, x.data() + t * 96, 1, w.gpu());
      for (int k = 0; k < 4; ++k) {
        ASSERT_EQ(alone.expert[k], all.expert[t * 4 + k]) << t;
        ASSERT_EQ(alone.weight[k], all.weight[t * 4 + k]) << t;
      }
    }
  }
}

TEST(GpuRoute, ARowThatIsNoNumberHasExpertsAndNoWeights) {
  const Router router(33, 20, 4);
  const TestWeights w(DType::f32, 1, 20, 33, 6);
  std::vector<float> x = random_values(33, 7);
  x[20] = std::nanf("");
  for (const auto vendor : emulator::kWarpSizes) {
    const Choices out = router.run(vendor, x.data(), 1, w.gpu());
    EXPECT_EQ(out.expert, router.reference(x.data(), 1, w.view()).expert);
    for (const float weight : out.weight) EXPECT_TRUE(std::isnan(weight));
  }
}

}  // namespace
}  // namespace potluck
