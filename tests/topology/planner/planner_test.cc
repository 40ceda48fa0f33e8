// Planners against an enumeration of all placements, on small clusters from seeds; and against the
// plain rules on large ones.
#include "topology/planner/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "enumerator.h"
#include "random_problem.h"
#include "topology/planner/baselines.h"

namespace potluck {
namespace {

constexpr uint64_t kSmallClusters = 2000;

void expect_least(const PlanProblem& problem, const PlanAnswer& answer, double least,
                  const std::string& which) {
  ASSERT_EQ(answer.placement.has_value(), std::isfinite(least)) << which;
  if (!answer.placement) return;
  EXPECT_NEAR(answer.objective_ms, least, 1e-7) << which;
  EXPECT_TRUE(answer.proven) << which;
  EXPECT_TRUE(fits(problem, *answer.placement)) << which;
}

TEST(PlannerTest, TheLatencyPlannerFindsWhatAnEnumerationFinds) {
  int solvable = 0;
  for (uint64_t seed = 1; seed <= kSmallClusters; ++seed) {
    const PlanProblem problem = random_small_problem(seed);
    const Least least = enumerate(problem);
    if (least.placements > 1) ++solvable;
    for (const bool warm : {true, false}) {
      const PlanAnswer answer = plan_latency(problem, {.warm_start = warm});
      const std::string which = "seed " + std::to_string(seed) + (warm ? " warm" : " cold");
      expect_least(problem, answer, least.step_ms, which);
      if (!answer.placement) continue;
      EXPECT_NEAR(step_ms(problem, *answer.placement), least.step_ms, 1e-7) << which;
    }
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(solvable, kSmallClusters / 2);  // else this shows little
}

}  // namespace
}  // namespace potluck
