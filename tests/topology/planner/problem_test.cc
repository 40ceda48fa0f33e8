// A cluster and a model become a planner's numbers, and a placement becomes a plan.
#include "topology/planner/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "topology/base/fault.h"
#include "topology/model/locator.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/step_time.h"
#include "topology/planner/placement.h"
#include "topology/planner/planner.h"

namespace potluck {
namespace {

using testing::HasSubstr;

class ProblemTest : public testing::Test {
 protected:
  ProblemTest() {
    cluster_.file = "home.yaml";
    cluster_.hosts = {host("desk", 5), host("nas", 9)};
    cluster_.hosts[1].ssh = "me@nas";
    cluster_.network = LinkSpec{"", "", 0.2, 1000, false, Source::stated, 0};
  }
  static HostSpec host(const std::string& name, int line) {
    HostSpec host;
    host.name = name;
    DeviceSpec device;
    device.name = name;
    device.memory_bytes = uint64_t{1} << 40;
    device.speed = DeviceSpeed{.sliding_layer_ms = 2, .full_layer_ms = 3, .head_ms = 9};
    device.line = line;
    host.devices = {device};
    return host;
  }
  DeviceSpec& device(int host) { return cluster_.hosts[host].devices[0]; }
  PlanProblem made(const PlanAsk& ask = {}) const { return make_problem(cluster_, *source_, ask); }
  std::string refusal(const PlanAsk& ask = {}) const {
    try {
      made(ask);
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      return fault.what();
    }
    return "";
  }

  // Each third layer is full, the others sliding.
  std::unique_ptr<ModelSource> source_ = open_model("synthetic:nano?layers=10");
  ClusterSpec cluster_;
};

TEST_F(ProblemTest, LayersTakeTheirKindsTimeAndTheModelsBytes) {
  const PlanProblem problem = made();
  const PlanDevice& desk = problem.devices[0];
  EXPECT_THAT(desk.layer_ms, testing::ElementsAre(2, 2, 3, 2, 2, 3, 2, 2, 3, 2));
  Plan plan = problem.frame;
  plan.stages[0].layers = {3, 6};
  const MemoryNeed need = stage_need(*source_, plan, 0);
  EXPECT_EQ(need.total(), bytes_on(problem, {1, {{0, {3, 6}}}}, 0));
  EXPECT_EQ(head_need(*source_, plan).total(), bytes_on(problem, {1, {{0, {3, 6}}}}, 1));
}

TEST_F(ProblemTest, AMeasuredDeviceKeepsHeadroom) {
  device(0).memory_source = Source::measured;
  const PlanProblem problem = made();
  EXPECT_NEAR(problem.devices[0].memory_bytes, 0.85 * problem.devices[1].memory_bytes, 1);
}

TEST_F(ProblemTest, AHopTakesItsLinksLatencyAndBytes) {
  cluster_.links = {LinkSpec{"desk", "nas", 7, 50, false, Source::measured, 0}};
  const PlanProblem problem = made();
  const double bytes = hop_bytes(source_->spec(), DType::bf16, source_->spec().canvas);
  EXPECT_NEAR(problem.hops[0][1].ms, 7 + 8 * (bytes + kHeaderBytes) / 50e3, 1e-9);
  EXPECT_NEAR(problem.hops[1][0].ms, 0.2 + 8 * (bytes + kHeaderBytes) / 1e6, 1e-9);
  EXPECT_LT(problem.hops[0][0].ms, problem.hops[1][0].ms);
}

TEST_F(ProblemTest, AHopIsNarrowOnlyWhereItPaysAndMayBe) {
  cluster_.links = {LinkSpec{"desk", "nas", 1, 5, true, Source::measured, 0},
                    LinkSpec{"nas", "desk", 1000, 5, true, Source::measured, 0}};
  const PlanProblem problem = made();
  EXPECT_TRUE(problem.hops[0][1].narrow);
  EXPECT_LT(problem.hops[0][1].ms, problem.hops[0][1].wide_ms);
  EXPECT_FALSE(problem.hops[1][0].narrow);  // latency is nearly all of it
  const Plan plan = plan_of(problem, {0, {{1, {0, 10}}}});
  EXPECT_EQ(plan.head.hop_type, DType::q8_0);
  EXPECT_EQ(plan.stages[0].hop_type, DType::bf16);
  cluster_.links[0].may_be_lossy = false;
  EXPECT_FALSE(made().hops[0][1].narrow);
}

TEST_F(ProblemTest, RolesDecideWhoTakesPart) {
  cluster_.hosts[1].trusted = false;
  EXPECT_FALSE(made().devices[1].may_be_head);
  EXPECT_TRUE(made().devices[1].may_hold_layers);
  device(1).spare = true;
  EXPECT_FALSE(made().devices[1].may_hold_layers);
  EXPECT_TRUE(made({.with_spares = true}).devices[1].may_hold_layers);
  EXPECT_FALSE(made({.lost = {"desk"}}).devices[0].may_be_head);
  cluster_.head = "nas";
  EXPECT_EQ(
      refusal(),
      "home.yaml: the head is to be \"nas\", which may not be it; name a device that takes part, "
      "is no spare, has a speed of the head, and whose host is trusted");
}

TEST_F(ProblemTest, LackingFiguresAreNamed) {
  device(0).speed.reset();
  device(1).memory_bytes = 0;
  EXPECT_EQ(
      refusal(),
      "home.yaml:5: \"desk\" has no speed, \"nas\" has no memory; let potluck doctor --cluster "
      "home.yaml --write measure it, or write it here");
  EXPECT_THAT(refusal({.lost = {"desk"}}), HasSubstr("home.yaml:9: \"nas\" has no memory;"));
  cluster_.network.reset();
  device(0) = device(1) = host("x", 1).devices[0];
  EXPECT_EQ(
      refusal(),
      "home.yaml: no link is known from \"desk\" to \"nas\", \"nas\" to \"desk\"; let potluck "
      "doctor --cluster home.yaml --write measure it, or write network: {bandwidth: 1gbit}");
}

TEST_F(ProblemTest, APlacementBecomesAPlanThatCanRun) {
  device(0).device = "cuda:0";
  device(0).threads = 3;
  const PlanProblem problem = made();
  const Plan plan = plan_of(problem, {0, {{0, {0, 7}}, {1, {7, 10}}}});
  validate(plan, source_->spec());
  EXPECT_EQ(plan.head.name, "desk-head");
  EXPECT_EQ(plan.stages[0].name, "desk");
  EXPECT_EQ(plan.stages[0].device, "cuda:0");
  EXPECT_EQ(plan.stages[0].threads, 3);
  EXPECT_EQ(plan.stages[0].memory_bytes + plan.head.memory_bytes, problem.devices[0].memory_bytes);
  EXPECT_EQ(plan.stages[1].layers, (LayerRange{7, 10}));
}

TEST_F(ProblemTest, ARingOfOneMachineIsPlannedWhereItIsFastest) {
  device(1).speed = DeviceSpeed{.sliding_layer_ms = 1, .full_layer_ms = 1, .head_ms = 1};
  const PlanProblem problem = made();
  const PlanAnswer answer = plan_latency(problem);
  ASSERT_TRUE(answer.placement);
  EXPECT_EQ(*answer.placement, (Placement{1, {{1, {0, 10}}}}));
  const RingTimes times = ring_times(problem, *answer.placement);
  EXPECT_DOUBLE_EQ(times.compute_ms(), 11);
  EXPECT_DOUBLE_EQ(answer.objective_ms, times.compute_ms() + times.wire_ms());
}

}  // namespace
}  // namespace potluck
