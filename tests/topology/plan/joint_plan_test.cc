// Layers of a model that is too large for one machine are cut over it and its guests.
#include "topology/plan/joint_plan.h"

#include <gtest/gtest.h>

#include "topology/base/fault.h"
#include "topology/model/locator.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/plan_check.h"

namespace potluck {
namespace {

class JointPlan : public testing::Test {
 protected:
  uint64_t head() const { return head_need(*source_, frame_).total(); }
  uint64_t layers(int begin, int end) const {
    Plan plan = frame_;
    plan.stages[0].layers = {begin, end};
    return stage_need(*source_, plan, 0).total();
  }
  static OwnDevice own(uint64_t bytes) { return {{"cpu", bytes, 0}, 0}; }
  static Candidate guest(const std::string& name, uint64_t bytes, double layer_ms = 0) {
    WorkerPlan worker;
    worker.name = name;
    worker.endpoint = "tcp://" + name + ":7000";
    return {worker, bytes, layer_ms};
  }
  std::string text(const Plan& plan) const {
    validate(plan, source_->spec());
    std::string text = plan.head.name + (plan.head.local ? " here" : "");
    for (const WorkerPlan& stage : plan.stages)
      text += ", " + stage.name + (stage.local ? " here " : " ") + range_text(stage.layers);
    return text;
  }

  const std::shared_ptr<const ModelSource> source_ =
      open_model("synthetic:nano?layers=6&hidden=64&vocab=512&canvas=16&seed=3");
  const Plan frame_ = plan_local(source_->spec(), {6});
};

TEST_F(JointPlan, GuestsTakeWhatThisMachineHasNoRoomFor) {
  const Plan plan =
      joint_plan(*source_, frame_, {own(head() + layers(0, 2))}, {guest("laptop", layers(2, 6))});
  EXPECT_EQ(text(plan), "head here, stage 0 here 0:2, laptop 2:6");
}

TEST_F(JointPlan, RoomForTheHeadAloneIsEnoughHere) {
  const Plan plan = joint_plan(*source_, frame_, {own(head())},
                               {guest("laptop", layers(0, 2)), guest("nas", layers(2, 6))});
  EXPECT_EQ(text(plan), "head here, laptop 0:2, nas 2:6");
}

TEST_F(JointPlan, FasterGuestsGetMore) {
  OwnDevice slow = own(head() + layers(0, 6));
  slow.layer_ms = 4;
  const Plan plan = joint_plan(*source_, frame_, {slow}, {guest("laptop", layers(1, 6), 1)});
  EXPECT_EQ(text(plan), "head here, stage 0 here 0:1, laptop 1:6");
}

TEST_F(JointPlan, WhatIsTooLittleIsRefused) {
  const uint64_t here = head() + layers(0, 2);
  EXPECT_THROW(joint_plan(*source_, frame_, {own(here)}, {}), Fault);
  EXPECT_THROW(joint_plan(*source_, frame_, {own(here)}, {guest("laptop", layers(2, 6) - 1)}),
               Fault);
  EXPECT_THROW(joint_plan(*source_, frame_, {own(head() - 1)}, {guest("laptop", layers(0, 6))}),
               Fault);
}

TEST_F(JointPlan, TheWholeIsTheHeadAndAllLayers) {
  EXPECT_EQ(whole_need(*source_, frame_), head() + layers(0, 6));
}

}  // namespace
}  // namespace potluck
