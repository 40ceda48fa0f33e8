// Workers that are started on one machine share its memory.
#include "cluster/ring/local_memory.h"

#include <gmock/gmock.h>

#include "topology/base/fault.h"
#include "topology/model/locator.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class LocalMemoryTest : public testing::Test {
 protected:
  LocalMemoryTest() { plan_.ctx_size = 512; }

  std::string refusal(uint64_t free) const {
    try {
      check_local_memory(*source_, plan_, 2, free);
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::memory);
      return fault.text();
    }
    return "";
  }
  Plan with_two_threads() const {
    Plan plan = plan_;
    plan.head.threads = plan.stages[0].threads = plan.stages[1].threads = 2;
    return plan;
  }
  // All that are started here need so much.
  uint64_t sum() const {
    const Plan plan = with_two_threads();
    uint64_t sum = plan.head.local ? head_need(*source_, plan).total() : 0;
    for (int i = 0; i < plan.stage_count(); ++i)
      if (plan.worker(stage_peer(i)).local) sum += stage_need(*source_, plan, i).total();
    return sum;
  }

  const std::unique_ptr<ModelSource> source_ = open_model("synthetic:nano?layers=6");
  Plan plan_ = plan_local(source_->spec(), {4, 2});
};

TEST_F(LocalMemoryTest, TheirNeedsAreAddedUp) {
  EXPECT_EQ(refusal(sum()), "");
  EXPECT_THAT(refusal(sum() - 1), AllOf(HasSubstr("(head "), HasSubstr(" + stage 0 "),
                                        HasSubstr(" + stage 1 "), HasSubstr("this machine has")));
}

TEST_F(LocalMemoryTest, OneThatDoesNotFitAloneIsToldWithItsOwnArithmetic) {
  EXPECT_THAT(refusal(500), AllOf(HasSubstr("has 500 B, its part needs"), HasSubstr("weights")));
}

TEST_F(LocalMemoryTest, WorkersElsewhereAndOnCardsDoNotCount) {
  const uint64_t all = sum();
  plan_.head.local = false;
  EXPECT_EQ(refusal(sum()), "");
  EXPECT_LT(sum(), all);
  plan_.stages[0].device = "cuda:0";
  EXPECT_EQ(refusal(stage_need(*source_, with_two_threads(), 1).total()), "");
  plan_.stages[1].local = false;
  EXPECT_EQ(refusal(0), "");
}

}  // namespace
}  // namespace potluck
