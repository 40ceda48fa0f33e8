// A ring is left as it is unless a device was lost or a better one is worth the move.
#include "topology/planner/replan.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

constexpr uint64_t kMb = 1'000'000;

// Three devices of equal memory, each of which holds all ten layers of 100 MB; the last is fast.
class ReplanTest : public testing::Test {
 protected:
  ReplanTest() {
    for (const double layer_ms : {4.0, 4.0, 1.0}) {
      PlanDevice device;
      device.name = "d" + std::to_string(problem_.devices.size());
      device.host = problem_.devices.size();
      device.layer_ms.assign(10, layer_ms);
      device.head_ms = 10;
      device.layer_bytes.assign(10, 100 * kMb);
      device.head_bytes = 50 * kMb;
      device.memory_bytes = 2000 * kMb;
      problem_.devices.push_back(device);
      problem_.hosts.push_back(device.name);
    }
    problem_.hops.assign(3, std::vector<HostHop>(3, {6, 4, 6, false}));
    for (int host = 0; host < 3; ++host) problem_.hops[host][host].ms = 5;
    problem_.coordinator_ms.assign(3, 1);
    problem_.stored_bytes.assign(10, 100 * kMb);
    problem_.head_stored_bytes = 50 * kMb;
  }

  PlanProblem problem_;
  const Placement slow_{0, {{0, {0, 10}}}};  // 10 + 5 + 40 + 5 + 1 = 61 ms
  const Placement fast_{2, {{2, {0, 10}}}};  // 10 + 5 + 10 + 5 + 1 = 31 ms
  const MovingRates disk_{0, 1000, 0};
};

TEST_F(ReplanTest, ALostDeviceIsReplaced) {
  const NextPlacement answer = replan(problem_, fast_, {{2}, disk_, 0, {}, {}});
  ASSERT_TRUE(answer.placement);
  EXPECT_EQ(answer.placement->head, 0);
  EXPECT_NEAR(answer.ms, 61, 1e-9);
  EXPECT_TRUE(answer.proven);
  EXPECT_FALSE(replan(problem_, fast_, {{0, 1, 2}, disk_, 0, {}, {}}).placement);
}

TEST_F(ReplanTest, AMovePaysOnlyIfEnoughStepsAreLeft) {
  const NextPlacement far = replan(problem_, slow_, {{}, disk_, 36, {}, {}});
  EXPECT_NEAR(far.moving_ms, 1050, 1e-9);  // 1.05 GB at 1 GB/s
  ASSERT_TRUE(far.placement);              // 36 steps save 1080 ms
  EXPECT_EQ(*far.placement, fast_);
  EXPECT_FALSE(replan(problem_, slow_, {{}, disk_, 34, {}, {}}).placement);
  const MovingRates fetched{100, 1000, 2};
  const NextPlacement slow = replan(problem_, slow_, {{}, fetched, 36, {}, {}});
  EXPECT_NEAR(slow.moving_ms, 10500 + 1050 + (1 + 5 + 10 + 5) + 10, 1e-9);
  EXPECT_FALSE(slow.placement);
}

TEST_F(ReplanTest, ALittleBetterIsNoReasonToMove) {
  problem_.devices[2].layer_ms.assign(10, 2.6);  // 47 ms, more than 0.75 of 61
  EXPECT_FALSE(replan(problem_, slow_, {{}, disk_, 1e9, {}, {}}).placement);
  problem_.devices[2].layer_ms.assign(10, 2.4);  // 45 ms
  EXPECT_TRUE(replan(problem_, slow_, {{}, disk_, 1e9, {}, {}}).placement);
}

TEST_F(ReplanTest, ADeviceFetchesOnlyWhatItDoesNotHave) {
  const Placement before{0, {{0, {0, 6}}, {1, {6, 10}}}};
  const Placement after{0, {{0, {0, 4}}, {1, {4, 10}}}};
  EXPECT_NEAR(moving_ms(problem_, before, after, disk_), 200, 1e-9);
  EXPECT_EQ(moving_ms(problem_, before, before, {1, 1, 100}), 0);
}

}  // namespace
}  // namespace potluck
