// Rings of a pool share nothing, keep their limits, and do not beat the bound.
#include "topology/planner/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "enumerator.h"
#include "random_problem.h"

namespace potluck {
namespace {

std::set<int> devices_of(const Placement& ring) {
  std::set<int> devices = {ring.head};
  for (const PlacedStage& stage : ring.stages) devices.insert(stage.device);
  return devices;
}

void expect_sound(const PlanProblem& problem, const PoolAnswer& answer) {
  std::set<int> seen;
  for (const Placement& ring : answer.rings) {
    EXPECT_TRUE(fits(problem, ring));
    EXPECT_LE(ring.stages.size(), static_cast<size_t>(kPoolStagesMax));
    EXPECT_EQ(ring.stages.back().layers.end, problem.layers());
    for (const int device : devices_of(ring)) EXPECT_TRUE(seen.insert(device).second) << device;
  }
  EXPECT_LE(answer.steps_per_s, answer.bound_per_s * (1 + 1e-9));
}

TEST(PoolTest, RingsOfTwoHundredDevicesShareNoneAndReachMostOfTheBound) {
  for (const bool wan : {false, true}) {
    const PlanProblem problem = family_problem({wan, 200, 0.35, 5});
    const PoolAnswer answer = plan_pool(problem);
    expect_sound(problem, answer);
    EXPECT_GT(answer.rings.size(), 10u);
    EXPECT_DOUBLE_EQ(pool_steps_per_s(problem, answer.rings), answer.steps_per_s);
    std::printf("%zu rings, %.2f steps/s of at most %.2f\n", answer.rings.size(),
                answer.steps_per_s, answer.bound_per_s);
  }
}

TEST(PoolTest, NoRingOfASmallClusterBeatsTheBound) {
  int rings = 0;
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    const PlanProblem problem = random_small_problem(seed);
    const PoolAnswer answer = plan_pool(problem);
    expect_sound(problem, answer);
    rings += answer.rings.size();
    const Least least = enumerate(problem);
    EXPECT_EQ(least.placements == 0, answer.rings.empty()) << seed;
    if (least.placements == 0) continue;
    EXPECT_LE(1000 / least.period_ms, answer.bound_per_s * (1 + 1e-9)) << seed;
  }
  EXPECT_GT(rings, 300);
}

TEST(PoolTest, AHostsLineIsSharedByTheRingsThatUseIt) {
  PlanProblem problem = family_problem({false, 4, 1, 1});
  for (PlanDevice& device : problem.devices) device.memory_bytes = uint64_t{1} << 40;
  problem.hosts = {"a", "b"};
  for (size_t i = 0; i < 4; ++i) problem.devices[i].host = i % 2;
  problem.hops = {{{0, 0, 0, false}, {900, 900, 900, false}},
                  {{900, 900, 900, false}, {0, 0, 0, false}}};
  problem.coordinator_ms = {0, 0};
  const Placement one{0, {{1, {0, 30}}}}, other{2, {{3, {0, 30}}}};
  EXPECT_NEAR(pool_steps_per_s(problem, {one}), 1000 / 900.0, 1e-9);
  EXPECT_NEAR(pool_steps_per_s(problem, {one, other}), 1000 / 900.0, 1e-9);
}

}  // namespace
}  // namespace potluck
