// A ring of a cluster file goes on over what is left of that file's devices.
#include "topology/planner/cluster_replanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "topology/base/fault.h"
#include "topology/model/locator.h"
#include "topology/plan/plan_check.h"

namespace potluck {
namespace {

using testing::HasSubstr;

// The desk is the head, each of the others holds four of ten layers; the last is a spare.
class ClusterReplannerTest : public testing::Test {
 protected:
  ClusterReplannerTest() {
    cluster_.file = "home.yaml";
    cluster_.network = LinkSpec{"", "", 0.2, 1000, false, Source::stated, 0};
    for (const char* name : {"desk", "nas", "shed", "den", "attic"}) {
      HostSpec& host = cluster_.hosts.emplace_back();
      host.name = name;
      DeviceSpec& device = host.devices.emplace_back();
      device.name = name;
      device.may_be_head = host.name == "desk";
      device.may_hold_layers = host.name != "desk";
      device.spare = host.name == "attic";
      device.memory_bytes = bytes_for(4);
      device.speed = DeviceSpeed{.sliding_layer_ms = 2, .full_layer_ms = 2, .head_ms = 9};
    }
    device("desk").memory_bytes = uint64_t{1} << 40;
    plan_ = planned();
  }

  DeviceSpec& device(const std::string& name) {
    for (HostSpec& host : cluster_.hosts)
      if (host.name == name) return host.devices[0];
    throw std::out_of_range(name);
  }

  // A stage of so many layers takes this at most, wherever it begins.
  uint64_t bytes_for(int layers) const {
    ClusterSpec one;
    HostSpec& host = one.hosts.emplace_back();
    host.name = "one";
    host.devices.emplace_back().name = "one";
    host.devices[0].memory_bytes = uint64_t{1} << 40;
    host.devices[0].speed = DeviceSpeed{.sliding_layer_ms = 2, .full_layer_ms = 2, .head_ms = 9};
    const PlanProblem problem = make_problem(one, *source_, {});
    uint64_t most = 0;
    for (int begin = 0; begin + layers <= problem.layers(); ++begin)
      most = std::max(most, bytes_on(problem, {0, {{0, {begin, begin + layers}}}}, 0) -
                                problem.devices[0].head_bytes);
    return most;
  }

  Plan planned() const {
    const PlanProblem problem = make_problem(cluster_, *source_, {});
    return plan_of(problem, *plan_latency(problem).placement);
  }

  ClusterReplanner replanner() const { return {cluster_, *source_, plan_}; }

  static std::vector<std::string> names(const std::optional<Plan>& plan) {
    std::vector<std::string> names;
    if (plan) names.push_back(plan->head.name);
    if (plan)
      for (const WorkerPlan& stage : plan->stages) names.push_back(stage.name);
    std::sort(names.begin(), names.end());
    return names;
  }

  std::optional<Plan> better(const ClusterReplanner& replanner, const Plan& running) {
    return replanner.better(running, why_not_);
  }

  using Names = std::vector<std::string>;
  std::unique_ptr<ModelSource> source_ = open_model("synthetic:nano?layers=10");
  ClusterSpec cluster_;
  Plan plan_;
  std::string why_not_;  // there is nothing better
};

TEST_F(ClusterReplannerTest, ASpareTakesThePartOfALostWorkerAndGivesItBack) {
  EXPECT_EQ(names(plan_), (Names{"den", "desk", "nas", "shed"}));
  ClusterReplanner replanner = this->replanner();
  replanner.gone("shed");
  const std::optional<Plan> next = replanner.remaining(plan_);
  EXPECT_EQ(names(next), (Names{"attic", "den", "desk", "nas"}));
  validate(*next, source_->spec());
  EXPECT_FALSE(better(replanner, *next));
  replanner.there("shed");
  EXPECT_EQ(names(better(replanner, *next)), (Names{"den", "desk", "nas", "shed"}));
  EXPECT_FALSE(better(replanner, plan_));
}

TEST_F(ClusterReplannerTest, ItIsSaidWhyADeviceThatIsBackHasNoPart) {
  device("attic").spare = false;
  device("attic").speed->sliding_layer_ms = device("attic").speed->full_layer_ms = 1.9;
  ClusterReplanner replanner = this->replanner();
  EXPECT_FALSE(better(replanner, plan_));
  EXPECT_THAT(why_not_, testing::MatchesRegex("a step would take [0-9.]+ ms with it, [0-9.]+ ms "
                                              "without; a move must save 25 %"));
  device("attic").speed->sliding_layer_ms = device("attic").speed->full_layer_ms = 90;
  EXPECT_FALSE(better(this->replanner(), plan_));
  EXPECT_EQ(why_not_, "no plan with it is faster");
}

TEST_F(ClusterReplannerTest, WhereTooLittleIsLeftThereIsNoPlan) {
  ClusterReplanner replanner = this->replanner();
  replanner.gone("shed");
  replanner.gone("den");
  EXPECT_FALSE(replanner.remaining(plan_));
  EXPECT_THAT(replanner.away(), testing::UnorderedElementsAre("shed", "den"));
  replanner.there("den");
  EXPECT_TRUE(replanner.remaining(plan_));
}

TEST_F(ClusterReplannerTest, ADeviceThatWasNotInThePlanIsTakenForOneThatIsLost) {
  device("attic").spare = false;
  device("attic").speed->sliding_layer_ms = device("attic").speed->full_layer_ms = 50;
  ASSERT_EQ(names(plan_), names(planned()));
  ClusterReplanner replanner = this->replanner();
  replanner.gone("nas");
  EXPECT_EQ(names(replanner.remaining(plan_)), (Names{"attic", "den", "desk", "shed"}));
}

TEST_F(ClusterReplannerTest, AWorkerWithLessMemoryThanTheFileSaysGetsASmallerPart) {
  ClusterReplanner replanner = this->replanner();
  EXPECT_FALSE(replanner.remaining(plan_));  // the ring is as good as any
  const WorkerPlan full = *std::max_element(
      plan_.stages.begin(), plan_.stages.end(),
      [](const WorkerPlan& a, const WorkerPlan& b) { return a.layers.size() < b.layers.size(); });
  ASSERT_EQ(full.layers.size(), 4);
  replanner.limit(full.name, bytes_for(3));
  const std::optional<Plan> next = replanner.remaining(plan_);
  ASSERT_TRUE(next);
  for (const WorkerPlan& stage : next->stages)
    EXPECT_LE(stage.layers.size(), stage.name == full.name ? 3 : 4);
}

TEST_F(ClusterReplannerTest, AWorkerOfNoDeviceGivesWayToOnesOfTheCluster) {
  ClusterReplanner replanner = this->replanner();
  Plan running = plan_;
  running.stages[1].name += " here";
  EXPECT_FALSE(replanner.knows(running.stages[1].name));
  EXPECT_EQ(names(better(replanner, running)), names(plan_));
}

TEST_F(ClusterReplannerTest, SparesWithoutFiguresAreLeftOutAndNamed) {
  EXPECT_EQ(replanner().without_spares(), "");
  device("attic").speed.reset();
  ClusterReplanner replanner = this->replanner();
  EXPECT_THAT(replanner.without_spares(), HasSubstr("\"attic\" has no speed"));
  replanner.gone("shed");
  EXPECT_FALSE(replanner.remaining(plan_));
  device("nas").speed.reset();
  EXPECT_THROW(this->replanner(), Fault);
}

TEST_F(ClusterReplannerTest, TheNextPlanKeepsWhatTheRingsHoldsForAll) {
  plan_.ctx_size = 128;
  plan_.sessions = 2;
  plan_.stream = DType::f32;
  ClusterReplanner replanner = this->replanner();
  replanner.gone("shed");
  device("attic").memory_bytes *= 2;
  const std::optional<Plan> next = replanner.remaining(plan_);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->ctx_size, 128);
  EXPECT_EQ(next->sessions, 2);
  EXPECT_EQ(next->head.hop_type, DType::f32);
}

}  // namespace
}  // namespace potluck
