// The entropy-bound sampler is checked on entropies whose sums are exact.
#include "coordinator/sampler.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

// Exact in binary, so that the bound is met with equality.
GenerationSpec spec_with(double entropy_bound, int stability, double confidence) {
  GenerationSpec spec;
  spec.entropy_bound = entropy_bound;
  spec.stability_threshold = stability;
  spec.confidence_threshold = confidence;
  return spec;
}

Candidates candidates(std::vector<float> entropy, int32_t argmax = 7) {
  Candidates c;
  c.argmax.assign(entropy.size(), argmax);
  c.sample.assign(entropy.size(), 1);
  c.entropy = std::move(entropy);
  return c;
}

const std::vector<int32_t> kNoise = {90, 91, 92, 93};

TEST(EntropyBoundSampler, AcceptsWhileTheSumBeforeIsWithinTheBound) {
  const auto sampler = make_entropy_bound_sampler(spec_with(0.125, 1, 0));
  // Sorted: 0.0625 (before: 0), 0.0625 (0.0625), 0.25 (0.125: equal to the bound), 1 (0.375).
  const StepDecision d = sampler->decide(candidates({1.0f, 0.0625f, 0.25f, 0.0625f}), kNoise);
  EXPECT_EQ(d.accepted, (std::vector<uint8_t>{0, 1, 1, 1}));
  EXPECT_EQ(d.next, (std::vector<int32_t>{90, 1, 1, 1}));
}

TEST(EntropyBoundSampler, TheSurestIsAlwaysAcceptedAndTiesGoToTheLowerPosition) {
  const auto sampler = make_entropy_bound_sampler(spec_with(0.125, 1, 0));
  const StepDecision d = sampler->decide(candidates({2, 2, 2, 2}), kNoise);
  EXPECT_EQ(d.accepted, (std::vector<uint8_t>{1, 0, 0, 0}));
}

TEST(EntropyBoundSampler, StopsOnlyStrictlyBelowTheConfidenceThreshold) {
  const auto at = make_entropy_bound_sampler(spec_with(0.1, 0, 0.25));
  EXPECT_FALSE(at->decide(candidates({0.25f, 0.25f, 0.25f, 0.25f}), kNoise).stop);
  EXPECT_TRUE(at->decide(candidates({0.25f, 0.25f, 0.25f, 0}), kNoise).stop);
}

TEST(EntropyBoundSampler, AFreshCanvasForgetsTheLastOne) {
  const auto sampler = make_entropy_bound_sampler(spec_with(0.1, 1, 1));
  EXPECT_FALSE(sampler->decide(candidates({0, 0, 0, 0}), kNoise).stop);
  EXPECT_TRUE(sampler->decide(candidates({0, 0, 0, 0}), kNoise).stop);
  EXPECT_FALSE(sampler->decide(candidates({0, 0, 0, 0}, 8), kNoise).stop);  // the argmax moved
  sampler->decide(candidates({0, 0, 0, 0}, 8), kNoise);
  sampler->begin_canvas();
  EXPECT_FALSE(sampler->decide(candidates({0, 0, 0, 0}, 8), kNoise).stop);
}

TEST(EntropyBoundSampler, WithoutADrawAnAcceptedPositionTakesTheArgmax) {
  const Candidates c = candidates({1.0f, 0.0625f, 0.25f, 0.0625f});
  const auto drawing = make_entropy_bound_sampler(spec_with(0.125, 1, 0));
  const auto greedy = make_entropy_bound_sampler(spec_with(0.125, 1, 0), Draw::argmax);
  EXPECT_EQ(drawing->decide(c, kNoise).next, (std::vector<int32_t>{90, 1, 1, 1}));
  EXPECT_EQ(greedy->decide(c, kNoise).next, (std::vector<int32_t>{90, 7, 7, 7}));
  for (int step : {0, 1, 47})
    EXPECT_EQ(greedy->temperature(step), drawing->temperature(step)) << "the schedule stays";
}

TEST(EntropyBoundSampler, TemperatureFallsFromTheTopAndNeverReachesTheBottom) {
  const auto sampler = make_entropy_bound_sampler(GenerationSpec{});
  EXPECT_DOUBLE_EQ(sampler->temperature(0), 0.8);
  EXPECT_NEAR(sampler->temperature(47), 0.4 + 0.4 / 48, 1e-12);
}

}  // namespace
}  // namespace potluck
