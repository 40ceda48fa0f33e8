// Times of a step add up from their parts.
#include "topology/plan/step_time.h"

#include <gtest/gtest.h>

#include "topology/model/locator.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

TEST(StepTimeTest, TheTypicalLayerIsTheMedianOfItsKind) {
  const auto source = open_model("synthetic:nano?layers=10");
  EXPECT_EQ(typical_layer(*source, false), 0);
  EXPECT_EQ(typical_layer(*source, true), 2);
  EXPECT_EQ(typical_layer(*open_model("synthetic:nano?layers=2"), true), std::nullopt);
}

TEST(StepTimeTest, AMessageTakesLatencyAndItsBits) {
  const LinkSpeed gigabit{0.5, 1000};
  EXPECT_DOUBLE_EQ(wire_ms(gigabit, 1'250'000 - kHeaderBytes), 10);
  EXPECT_DOUBLE_EQ(arrival_ms(gigabit, 1'250'000 - kHeaderBytes), 10.5);
}

TEST(StepTimeTest, AStepIsTheSumOfItsParts) {
  const RingTimes ring{1, 10, {20, 30}, {2, 3, 4}};
  EXPECT_DOUBLE_EQ(ring.compute_ms(), 60);
  EXPECT_DOUBLE_EQ(ring.wire_ms(), 10);
  EXPECT_DOUBLE_EQ(step_ms(ring), 70);
  EXPECT_DOUBLE_EQ(encode_ms(ring, 1), 60);
  EXPECT_DOUBLE_EQ(encode_ms(ring, 4), 60 + 3 * 30);
  EXPECT_DOUBLE_EQ(encode_ms(ring, 0), 0);
  EXPECT_DOUBLE_EQ(tokens_per_s(256, 19, 100), 128);
}

TEST(StepTimeTest, APeriodIsTheBusiestResourcesTime) {
  EXPECT_DOUBLE_EQ(period_ms(std::vector<Use>{{0, 5}, {1, 4}, {1, 3}}), 7);
  EXPECT_EQ(canvases_to_fill(70, 30), 3);
  EXPECT_EQ(canvases_to_fill(60, 30), 2);
  EXPECT_EQ(canvases_to_fill(10, 30), 1);
}

}  // namespace
}  // namespace potluck
