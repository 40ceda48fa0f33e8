#include "topology/plan.h"

#include <gtest/gtest.h>

#include "topology/cost_model.h"
#include "topology/fault.h"
#include "topology/model_source.h"

namespace potluck {
namespace {

class PlanTest : public testing::Test {
 protected:
  std::string refusal(const Plan& plan) const {
    try {
      validate(plan, source_->spec());
    } catch (const Fault& fault) {
      return fault.text();
    }
    return "";
  }
  std::unique_ptr<ModelSource> source_ = open_model("synthetic:nano?layers=6");
  Plan plan_ = plan_local(source_->spec(), layer_bytes(*source_), 3, {});
};

TEST_F(PlanTest, LocalPlansCoverEveryLayerOnce) {
  for (int stages = 1; stages <= 6; ++stages) {
    const Plan plan = plan_local(source_->spec(), layer_bytes(*source_), stages, {});
    EXPECT_EQ(plan.stage_count(), stages);
    EXPECT_EQ(refusal(plan), "");
  }
  EXPECT_THROW(plan_local(source_->spec(), layer_bytes(*source_), 7, {}), Fault);
  EXPECT_THROW(plan_local(source_->spec(), layer_bytes(*source_), 0, {2, 3}), Fault);
}

// The largest of the three parts is the least possible, whatever the order of the costs.
TEST_F(PlanTest, SplitsByBytesNotByCount) {
  const Plan plan = plan_local(source_->spec(), {9, 1, 1, 1, 1, 1}, 2, {});
  EXPECT_EQ(plan.stages[0].layers, (LayerRange{0, 1}));
}

TEST_F(PlanTest, GapsOverlapsAndStrangersAreNamed) {
  Plan gap = plan_;
  gap.stages[1].layers.begin = 3;
  EXPECT_NE(refusal(gap).find("nobody runs 2:3"), std::string::npos) << refusal(gap);
  Plan overlap = plan_;
  overlap.stages[1].layers.begin = 1;
  EXPECT_NE(refusal(overlap).find("belong to an earlier stage"), std::string::npos);
  Plan cycle = plan_;
  std::swap(cycle.stages[0], cycle.stages[2]);
  EXPECT_NE(refusal(cycle), "");
  Plan past = plan_;
  past.stages[2].layers.end = 9;
  EXPECT_NE(refusal(past).find("0:6"), std::string::npos);
  Plan twins = plan_;
  twins.stages[1].name = twins.stages[0].name;
  EXPECT_NE(refusal(twins).find("stands twice"), std::string::npos);
  Plan context = plan_;
  context.ctx_size = 1 << 30;
  EXPECT_NE(refusal(context).find("context is 1073741824"), std::string::npos);
}

TEST_F(PlanTest, ARefusalForMemoryShowsTheArithmetic) {
  const MemoryNeed need = stage_need(*source_, plan_, 0);
  const std::string text = memory_refusal(plan_.stages[0], need, 1000);
  for (const std::string& part :
       {bytes_text(need.weights), bytes_text(need.kv), bytes_text(need.total())})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

}  // namespace
}  // namespace potluck
