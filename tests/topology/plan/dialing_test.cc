// A worker is told of the one that it dials, and people are told when it does not reach it.
#include "topology/plan/dialing.h"

#include <gmock/gmock.h>

namespace potluck {
namespace {

using testing::HasSubstr;
using testing::Not;

// The head is here, as is stage 1; stages 0 and 2 are elsewhere.
Plan mixed_plan() {
  Plan plan;
  plan.head.name = "head";
  plan.head.local = true;
  plan.head.endpoint = "tcp://[fe80::3%cable2]:7001";
  plan.stages.resize(3);
  plan.stages[0].name = "old-laptop";
  plan.stages[0].endpoint = "tcp://[fe80::4%cable0]:7000";
  plan.stages[1].name = "beside me";
  plan.stages[1].local = true;
  plan.stages[1].endpoint = "tcp://[fe80::3%cable0]:41234";
  plan.stages[2].name = "spare";
  plan.stages[2].endpoint = "tcp://[fe80::5%cable2]:7000";
  return plan;
}

std::vector<std::string> endpoints(const Plan& plan) {
  std::vector<std::string> all{plan.head.endpoint};
  for (const WorkerPlan& stage : plan.stages) all.push_back(stage.endpoint);
  return all;
}

TEST(Dialing, AnotherMachineDialsWithoutOurZone) {
  const Plan plan = mixed_plan();
  const std::vector<std::string> ours = endpoints(plan);
  EXPECT_EQ(endpoints(plan_for(plan, kHeadPeer)), ours);
  EXPECT_EQ(endpoints(plan_for(plan, stage_peer(1))), ours);
  std::vector<std::string> theirs = ours;
  theirs[2] = "tcp://[fe80::3]:41234";
  EXPECT_EQ(endpoints(plan_for(plan, stage_peer(0))), theirs);
  theirs = ours;
  theirs[0] = "tcp://[fe80::3]:7001";
  EXPECT_EQ(endpoints(plan_for(plan, stage_peer(2))), theirs);
}

std::string told(const Plan& plan, PeerId from) {
  const WorkerPlan next = plan_for(plan, from).next_of(from);
  return explained(Fault(FaultKind::lost, not_reached_text(next), Fix{"see"}), plan, from).what();
}

TEST(Dialing, WhoWasNotReachedIsToldWithBothMachinesAndThePort) {
  const Plan plan = mixed_plan();
  EXPECT_EQ(told(plan, stage_peer(2)),
            "spare could not reach head at tcp://[fe80::3%cable2]:7001; open TCP port 7001 of this "
            "machine to the machine of spare ([fe80::5%cable2]) (in the plan, its endpoint can fix "
            "the port: tcp://*:7001), and see that there is a route between them");
  EXPECT_EQ(
      told(plan, stage_peer(1)),
      "beside me could not reach spare at tcp://[fe80::5%cable2]:7000; open TCP port 7000 of "
      "the machine of spare ([fe80::5%cable2]) to this machine, and see that there is a route "
      "between them");
}

TEST(Dialing, TwoOthersCanHaveAStageBetweenThem) {
  Plan plan = mixed_plan();
  plan.stages.erase(plan.stages.begin() + 1);
  EXPECT_THAT(told(plan, stage_peer(0)),
              HasSubstr("; or put a stage with \"start: here\" between them"));
  EXPECT_THAT(told(plan, kHeadPeer), Not(HasSubstr("start: here")));
}

TEST(Dialing, ASocketHasNoPortToOpen) {
  Plan plan = mixed_plan();
  plan.stages[0].endpoint = "ipc:///run/a";
  EXPECT_EQ(told(plan, kHeadPeer),
            "head could not reach old-laptop at ipc:///run/a; see whether its worker runs");
}

// Anything may be said by a worker: what is not that sentence, of that worker, stays as it is.
TEST(Dialing, AnyOtherFaultStaysAsItIs) {
  const Plan plan = mixed_plan();
  const std::string sentence =
      not_reached_text(plan_for(plan, stage_peer(0)).next_of(stage_peer(0)));
  const auto kept = [&](const Fault& fault, PeerId from) {
    return std::string(explained(fault, plan, from).what()) == fault.what();
  };
  EXPECT_FALSE(kept(Fault(FaultKind::lost, sentence), stage_peer(0)));
  EXPECT_TRUE(kept(Fault(FaultKind::refused, sentence), stage_peer(0)));
  EXPECT_TRUE(kept(Fault(FaultKind::lost, sentence + "0"), stage_peer(0)));
  EXPECT_TRUE(kept(Fault(FaultKind::lost, sentence), stage_peer(1)));
  EXPECT_TRUE(kept(Fault(FaultKind::lost, sentence), kCoordinatorPeer));
  EXPECT_TRUE(kept(Fault(FaultKind::lost, sentence), 200));
}

}  // namespace
}  // namespace potluck
