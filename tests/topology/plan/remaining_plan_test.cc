// Who takes over the layers of workers that are gone.
#include "topology/plan/remaining_plan.h"

#include <gtest/gtest.h>

#include "topology/base/fault.h"
#include "topology/model/locator.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/plan_check.h"

namespace potluck {
namespace {

class RemainingPlan : public testing::Test {
 protected:
  RemainingPlan() {
    plan_ = plan_local(source_->spec(), {2, 2, 2});
    plan_.head.endpoint = "test://head";
    for (int i = 0; i < 3; ++i)
      plan_.stages[static_cast<size_t>(i)].endpoint = "test://" + std::to_string(i);
    all_.push_back({plan_.head});
    for (const WorkerPlan& stage : plan_.stages) all_.push_back({stage});
  }

  std::vector<Candidate> without(size_t index) const {
    std::vector<Candidate> left = all_;
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(index));
    return left;
  }

  // "head | stage 0 0:3, stage 2 3:6", of a plan that can be.
  std::string text(const Plan& plan) const {
    validate(plan, source_->spec());
    std::string text = plan.head.name + " |";
    for (const WorkerPlan& stage : plan.stages)
      text += (text.back() == '|' ? " " : ", ") + stage.name + " " + range_text(stage.layers);
    return text;
  }

  uint64_t need(int layers) const {
    Plan plan = plan_;
    plan.stages.assign(1, plan.stages[0]);
    plan.stages[0].layers = {0, layers};
    return stage_need(*source_, plan, 0).total();
  }

  const std::shared_ptr<const ModelSource> source_ =
      open_model("synthetic:nano?layers=6&hidden=64&vocab=512&canvas=16&seed=3");
  Plan plan_;
  std::vector<Candidate> all_;
};

TEST_F(RemainingPlan, NeighboursTakeTheLayersAndOthersKeepTheirs) {
  EXPECT_EQ(text(remaining_plan(*source_, plan_, without(3))), "head | stage 0 0:2, stage 1 2:6");
  EXPECT_EQ(text(remaining_plan(*source_, plan_, without(1))), "head | stage 1 0:4, stage 2 4:6");
}

TEST_F(RemainingPlan, TheFasterNeighbourTakesThem) {
  all_[1].layer_ms = 1;
  all_[3].layer_ms = 1.2;
  EXPECT_EQ(text(remaining_plan(*source_, plan_, without(2))), "head | stage 0 0:4, stage 2 4:6");
  all_[1].layer_ms = 1.3;
  EXPECT_EQ(text(remaining_plan(*source_, plan_, without(2))), "head | stage 0 0:2, stage 2 2:6");
}

TEST_F(RemainingPlan, NobodyTakesMoreThanItHasRoomFor) {
  for (Candidate& each : all_) each.bytes_free = need(3);
  EXPECT_EQ(text(remaining_plan(*source_, plan_, without(2))), "head | stage 0 0:3, stage 2 3:6");
  for (Candidate& each : all_) each.bytes_free = need(2);
  try {
    remaining_plan(*source_, plan_, without(2));
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::memory);
    EXPECT_NE(fault.text().find("stage 0 ("), std::string::npos) << fault.what();
  }
}

TEST_F(RemainingPlan, NobodyTakesMoreThanThePlanGrantsIt) {
  for (Candidate& each : all_) {
    each.bytes_free = need(6);
    each.worker.memory_bytes = need(3);
  }
  EXPECT_EQ(text(remaining_plan(*source_, plan_, without(2))), "head | stage 0 0:3, stage 2 3:6");
  for (Candidate& each : all_) each.worker.memory_bytes = need(2);
  EXPECT_THROW(remaining_plan(*source_, plan_, without(2)), Fault);
}

TEST_F(RemainingPlan, AStageBecomesTheHeadWhenThatIsLost) {
  all_[1].layer_ms = 3;
  all_[2].layer_ms = all_[3].layer_ms = 1;
  EXPECT_EQ(text(remaining_plan(*source_, plan_, without(0))),
            "stage 0 | stage 1 0:4, stage 2 4:6");
}

TEST_F(RemainingPlan, WhoMayNotBeTheHeadNeverBecomesIt) {
  all_[1].worker.may_be_head = all_[2].worker.may_be_head = false;
  EXPECT_EQ(text(remaining_plan(*source_, plan_, without(0))),
            "stage 2 | stage 0 0:2, stage 1 2:6");
  all_[3].worker.may_be_head = false;
  try {
    remaining_plan(*source_, plan_, without(0));
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.text(),
              "the head sees prompts and answers, and none that is left may be it: stage 0, stage "
              "1, stage 2");
  }
  EXPECT_NO_THROW(remaining_plan(*source_, plan_, without(3)));
}

TEST_F(RemainingPlan, OneWorkerIsNoRing) {
  EXPECT_THROW(remaining_plan(*source_, plan_, {all_[1]}), Fault);
  EXPECT_THROW(remaining_plan(*source_, plan_, {}), Fault);
}

TEST_F(RemainingPlan, AWorkerIsTakenBackOnlyWhereItPays) {
  const Plan small = remaining_plan(*source_, plan_, without(2));
  WhyNot why_not;
  EXPECT_FALSE(faster_plan(*source_, small, all_, why_not));
  all_[1].layer_ms = all_[3].layer_ms = 4;
  all_[2].layer_ms = 1;
  why_not.clear();
  const std::optional<Plan> faster = faster_plan(*source_, small, all_, why_not);
  EXPECT_TRUE(why_not.empty());
  ASSERT_TRUE(faster);
  EXPECT_EQ(text(*faster), "head | stage 1 0:6");
}

TEST_F(RemainingPlan, ItIsSaidWhyAWorkerIsNotTakenBack) {
  const Plan small = remaining_plan(*source_, plan_, without(2));
  const auto why = [&] {
    WhyNot why_not;
    EXPECT_FALSE(faster_plan(*source_, small, all_, why_not));
    EXPECT_EQ(why_not.size(), 1u);
    return why_not["stage 1"];
  };
  EXPECT_EQ(why(), "the ring's speed is not known before its first step");
  all_[1].layer_ms = all_[3].layer_ms = 4;
  EXPECT_EQ(why(), "its speed is not known yet");
  all_[2].layer_ms = 3.5;
  EXPECT_EQ(why(),
            "the layers of a step would take 23 ms with it, 24 ms without; a move must "
            "save 25 %");
  all_[2].layer_ms = 6;
  EXPECT_EQ(why(), "a layer takes 6 ms there, 4 ms in the ring; a move must save 25 %");
  all_[2].layer_ms = 1;
  all_[2].bytes_free = 1000;
  EXPECT_EQ(why(), "no layer fits in its 1.00 KB");
}

}  // namespace
}  // namespace potluck
