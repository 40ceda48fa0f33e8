// Planners against an enumeration of all placements, on small clusters from seeds; and against the
// plain rules on large ones.
#include "topology/planner/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "enumerator.h"
#include "random_problem.h"
#include "topology/planner/baselines.h"
#include "topology/planner/search.h"

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

struct Goal {
  PlanAnswer (*plan)(const PlanProblem&, const PlannerOptions&);
  double (*of)(const PlanProblem&, const Placement&);
  double Least::*least;
};

void compare_with_enumeration(const Goal& objective) {
  int solvable = 0;
  for (uint64_t seed = 1; seed <= kSmallClusters && !testing::Test::HasFailure(); ++seed) {
    const PlanProblem problem = random_small_problem(seed);
    const Least least = enumerate(problem);
    if (least.placements > 1) ++solvable;
    for (const bool warm : {true, false}) {
      const PlanAnswer answer = objective.plan(problem, {.warm_start = warm});
      const std::string which = "seed " + std::to_string(seed) + (warm ? " warm" : " cold");
      expect_least(problem, answer, least.*objective.least, which);
      if (!answer.placement) continue;
      EXPECT_NEAR(objective.of(problem, *answer.placement), least.*objective.least, 1e-7) << which;
    }
  }
  EXPECT_GT(solvable, kSmallClusters / 2);  // else this shows little
}

TEST(PlannerTest, TheLatencyPlannerFindsWhatAnEnumerationFinds) {
  compare_with_enumeration({plan_latency, step_ms, &Least::step_ms});
}

TEST(PlannerTest, TheThroughputPlannerFindsWhatAnEnumerationFinds) {
  compare_with_enumeration({plan_throughput, period_ms, &Least::period_ms});
}

// Without points whose period is the next one's but for the order in which it was added up.
std::vector<std::pair<double, double>> front_of(const PlanProblem& problem) {
  std::vector<std::pair<double, double>> front = enumerate(problem).front;
  std::sort(front.begin(), front.end());
  std::vector<std::pair<double, double>> unlike;
  for (const auto& point : front) {
    if (!unlike.empty() && point.first - unlike.back().first < 1e-4) unlike.pop_back();
    unlike.push_back(point);
  }
  return unlike;
}

// A ring is sought within each point's period, and a little below it, where that point is none.
TEST(PlannerTest, TheLeastStepWithinALongestPeriodIsWhatAnEnumerationFinds) {
  int points = 0;
  for (uint64_t seed = 1; seed <= kSmallClusters && !testing::Test::HasFailure(); ++seed) {
    const PlanProblem problem = random_small_problem(seed);
    const std::vector<std::pair<double, double>> front = front_of(problem);
    points += front.size();
    for (size_t i = 0; i < front.size(); ++i) {
      const std::string which = "seed " + std::to_string(seed) + " point " + std::to_string(i);
      const SearchResult at = search(Cuts(problem, front[i].first + 1e-6), {});
      EXPECT_NEAR(at.step_ms, front[i].second, 1e-7) << which;
      const SearchResult below = search(Cuts(problem, front[i].first - 5e-5), {});
      EXPECT_EQ(below.best.has_value(), i > 0) << which;
      if (i == 0) continue;
      EXPECT_NEAR(below.step_ms, front[i - 1].second, 1e-7) << which;
    }
  }
  EXPECT_GT(points, static_cast<int>(kSmallClusters));
}

// Host 1 has two of the four devices that hold a layer each. By 1, 2, 1, 3 the step is shorter, but
// host 1 would send twice; after 2, 1, 1 its line is still free for the last hop.
TEST(PlannerTest, TheSameDevicesInAnotherOrderLeaveALineFree) {
  PlanProblem problem;
  problem.hosts = {"0", "1", "2", "3"};
  problem.coordinator_ms.assign(4, 0);
  for (const int host : {0, 1, 1, 2, 3}) {
    PlanDevice device;
    device.host = host;
    device.layer_ms.assign(4, 1);
    device.layer_bytes.assign(4, 1);
    device.memory_bytes = host ? 1 : 0;
    device.may_be_head = host == 0;
    device.may_hold_layers = host != 0;
    problem.devices.push_back(device);
  }
  const HostHop none{1, 100, 1, false}, light{1, 1, 1, false}, heavy{1, 6, 1, false};
  problem.hops.assign(4, std::vector<HostHop>(4, none));
  problem.hops[0][1] = problem.hops[2][1] = problem.hops[3][0] = problem.hops[1][1] = light;
  problem.hops[1][2] = problem.hops[1][3] = heavy;
  problem.hops[0][2] = {50, 1, 50, false};
  const SearchResult free = search(Cuts(problem), {});
  EXPECT_EQ(free.step_ms, 9);
  const SearchResult found = search(Cuts(problem, 10), {});
  ASSERT_TRUE(found.best);
  EXPECT_EQ(found.best->devices, (std::vector<int>{3, 1, 2, 4}));
  EXPECT_EQ(found.step_ms, 58);
}

// However early the budget ends.
TEST(PlannerTest, AnAnswerIsNeverWorseThanThePlainRules) {
  int compared = 0, unproven = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed)
    for (const bool wan : {false, true})
      for (const double room : {1.0, 0.35, 0.2}) {
        const PlanProblem problem = family_problem({wan, 32, room, seed});
        const PlannerOptions options{.budget = {1, {}}};
        const PlanAnswer latency = plan_latency(problem, options);
        const PlanAnswer throughput = plan_throughput(problem, options);
        for (const auto& rule : {place_evenly(problem), place_by_memory(problem)}) {
          if (!rule) continue;
          ++compared;
          EXPECT_LE(latency.objective_ms, step_ms(problem, *rule) + 1e-9);
          EXPECT_LE(throughput.objective_ms, period_ms(problem, *rule) + 1e-9);
        }
        if (latency.gap() > 0) ++unproven;
        EXPECT_EQ(latency.gap() > 0, !latency.proven);
      }
  EXPECT_GT(compared, 20);
  EXPECT_GT(unproven, 12);
}

TEST(PlannerTest, EachPointOfAFrontHasALongerStepAndAShorterPeriod) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const PlanProblem problem = family_problem({seed % 2 == 0, 12, 0.6, seed});
    const std::vector<ParetoPoint> front = plan_pareto(problem);
    ASSERT_GT(front.size(), 1u) << seed;
    EXPECT_NEAR(front.front().step_ms, plan_latency(problem).objective_ms, 1e-7) << seed;
    const double least_ms = plan_throughput(problem).objective_ms;
    EXPECT_LE(front.back().period_ms * (1 - kFrontStep), least_ms + 1e-7) << seed;
    for (size_t i = 1; i < front.size(); ++i) {
      EXPECT_GT(front[i].step_ms, front[i - 1].step_ms) << seed;
      EXPECT_LE(front[i].period_ms, front[i - 1].period_ms * (1 - kFrontStep) + 1e-7) << seed;
    }
  }
}

}  // namespace
}  // namespace potluck
