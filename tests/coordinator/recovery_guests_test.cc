// A Pipeline takes in guests and lets them go, and does without workers that are set aside.
#include "tests/coordinator/recovery_party.h"

namespace potluck {
namespace {

TEST_F(RecoveryTest, WhoeverJoinedMayNotBecomeTheHeadLater) {
  start_away();
  up(invite_guest());
  tick();
  ASSERT_EQ(candidates_.size(), 4u);
  for (const Candidate& each : candidates_)
    EXPECT_EQ(each.worker.may_be_head, each.worker.name != "laptop") << each.worker.name;
}

TEST_F(RecoveryTest, AWorkerOfTheFirstPlanThatMayNotBeTheHeadIsKnown) {
  Recovery recovery([&](const RingChange& change, WhyNot&) {
    candidates_ = change.candidates;
    return change.plan;
  });
  Plan first = plan(1);
  first.stages[1].may_be_head = false;
  recovery.begins_with(first);
  recovery.gone(now_, first.stages[0]);
  recovery.disturbed(now_, Fault(FaultKind::lost, "gone"));
  now_ += from_seconds(2);
  recovery.next_plan(now_, first);
  ASSERT_EQ(candidates_.size(), 2u);
  EXPECT_TRUE(candidates_[0].worker.may_be_head);
  EXPECT_FALSE(candidates_[1].worker.may_be_head);
}

// Its link is up and does not say so again.
TEST_F(RecoveryTest, AGuestThatOffersItselfAgainIsStillThere) {
  start_away();
  first_step();
  up(invite_guest());
  pipeline_->invite(guest());
  tick();
  EXPECT_EQ(changes_.size(), 1u);
}

TEST_F(RecoveryTest, WhyAGuestHasNoPartIsToldOnceAndKnownFromThenOn) {
  using Told = std::vector<std::string>;
  start_away();
  const PeerId link = invite_guest();
  EXPECT_EQ(pipeline_->why_not("laptop"), "it is being called");
  down(link, "connection refused");
  EXPECT_EQ(pipeline_->why_not("laptop"), "it does not answer");
  pass_ms(5500);
  up(connects_.back().first);
  tick();
  EXPECT_EQ(pipeline_->why_not("laptop"), "it is too slow");
  down(connects_.back().first, "closed");
  pass_ms(61'000);  // it is called again, and nothing has changed
  up(connects_.back().first);
  tick();
  EXPECT_EQ(changes_.size(), 2u);
  EXPECT_EQ(left_out_, (Told{"laptop: it does not answer", "laptop: it is too slow"}));
  pipeline_->set_aside({"laptop"});
  EXPECT_EQ(pipeline_->why_not("laptop"), "drained");
  pipeline_->take_back({"laptop"});
  EXPECT_EQ(pipeline_->why_not("laptop"), "it is too slow");
  EXPECT_EQ(pipeline_->why_not("nobody"), "");
}

TEST_F(RecoveryTest, WhyAWorkerThatWasToLeaveStaysIsKnownUntilItHasLeft) {
  start_away();
  no_plan_.emplace(FaultKind::memory, "nothing fits");
  pipeline_->forget("stage 1");
  tick();
  EXPECT_EQ(stays_, "stage 1 cannot leave: nothing fits");
  EXPECT_EQ(pipeline_->why_not("stage 1"), stays_);
  no_plan_.reset();
  pipeline_->forget("stage 1");
  pass_ms(100);
  become_loaded({1, 2}, 2);
  EXPECT_EQ(pipeline_->why_not("stage 1"), "");
}

TEST_F(RecoveryTest, AGuestThatIsForgottenIsDialedNoMore) {
  start_away();
  const PeerId link = invite_guest();
  down(link, "connection refused");
  pass_ms(5500);
  EXPECT_EQ(connects_.size(), 2u);
  down(connects_.back().first, "connection refused");
  connects_.clear();
  pipeline_->forget("laptop");
  EXPECT_TRUE(pipeline_->idle_work());
  pass_ms(10000);
  EXPECT_TRUE(connects_.empty());
}

TEST_F(RecoveryTest, AWorkerThatIsLostWhileItLeavesForGoodIsNotWaitedFor) {
  start_away();
  first_step();
  pipeline_->forget("stage 1");
  tick();
  down(3, "closed by peer");
  pass_ms(1100);
  become_one_stage(2);
  connects_.clear();
  pass_ms(10000);
  EXPECT_FALSE(was_dialed("test://1"));
}

TEST_F(RecoveryTest, AGuestThatGoesBeforeTheCommitLeavesTheRingAsItWas) {
  better_ = with_guest();
  start_away();
  const Header step = first_step();
  const PeerId link = invite_guest();
  up(link);
  tick();
  ASSERT_FALSE(changes_.empty());
  better_.reset();
  down(link, "closed by peer");
  give(1, candidates(step));
  give(1, candidates(taken(MessageKind::denoise).at(0).header));
  EXPECT_EQ(canvases_.size(), 1u);
  pass_ms(200);
  EXPECT_TRUE(taken(MessageKind::load).empty());
  EXPECT_FALSE(taken(MessageKind::encode).empty());
}

TEST_F(RecoveryTest, AGuestThatComesBeforeTheFirstStepIsAskedAgainAfterIt) {
  start_away();
  const Header step = first_step();
  up(invite_guest());
  tick();
  EXPECT_EQ(changes_.size(), 1u);
  connects_.clear();
  better_ = with_guest();
  now_ += from_seconds(0.05);
  Message answer = candidates(step);
  for (int i = 0; i < 2; ++i)
    answer.header.hops.push_back({.peer = stage_peer(i), .compute_us = 9000});
  give(1, answer);
  tick();
  ASSERT_TRUE(was_dialed("test://laptop"));
  up(connects_.back().first);
  tick();
  EXPECT_EQ(changes_.size(), 2u);
  give(1, candidates(taken(MessageKind::denoise).at(0).header));
  pass_ms(100);
  EXPECT_EQ(taken(MessageKind::load).size(), 4u);
}

TEST_F(RecoveryTest, OneThatIsSetAsideIsNotCalledUntilItIsTakenBack) {
  start_away();
  pipeline_->set_aside({"stage 1", "elsewhere"});
  pass_ms(100);
  ASSERT_EQ(changes_, (std::vector<std::vector<std::string>>{{"stage 1"}}));
  become_loaded({1, 2}, 2);
  connects_.clear();
  pass_ms(12'000);
  EXPECT_TRUE(connects_.empty());
  pipeline_->take_back({"stage 1", "elsewhere"});
  pass_ms(100);
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_EQ(connects_[0].second.endpoint, "test://1");
  up(connects_[0].first);
  tick();
  EXPECT_EQ(changes_.size(), 2u);  // it is asked whether the ring does better with it
}

TEST_F(RecoveryTest, AGuestThatIsSetAsideIsNoCandidate) {
  start_away();
  WorkerPlan guest;
  guest.name = "guest";
  guest.endpoint = "test://guest";
  pipeline_->set_aside({"guest"});
  pipeline_->invite({guest, 0, 0});
  connects_.clear();
  pass_ms(12'000);
  EXPECT_TRUE(connects_.empty());
  pipeline_->take_back({"guest"});
  pass_ms(100);
  EXPECT_EQ(connects_.size(), 1u);
}

TEST_F(RecoveryTest, AGuestThatCameAgainElsewhereIsCalledThereAndNotWhereItWasLost) {
  start_away();
  WorkerPlan guest = plan(1).stages[1];
  guest.local = false;
  guest.endpoint = "test://new";
  pipeline_->invite({guest, 0, 0});
  down(3, "it has hung up");
  pass_ms(1500);
  become_loaded({1, 2}, 2);
  connects_.clear();
  pass_ms(6000);
  ASSERT_FALSE(connects_.empty());
  for (const auto& [link, address] : connects_) EXPECT_EQ(address.endpoint, "test://new");
}

TEST_F(RecoveryTest, OneOfThisMachineThatIsTakenBackIsACandidateAgain) {
  take(pipeline_->start(now_, plan(1)));
  come_up({1, 2, 3});
  pipeline_->set_aside({"stage 1"});
  pass_ms(100);
  become_loaded({1, 2}, 2);
  pass_ms(6000);
  ASSERT_EQ(changes_.size(), 1u);
  pipeline_->take_back({"stage 1"});
  pass_ms(100);
  EXPECT_EQ(changes_.size(), 2u);
}

TEST_F(RecoveryTest, OneThatIsTakenBackBeforeTheRingCouldChangeStays) {
  start_away();
  const Header step = first_step();
  pipeline_->set_aside({"stage 1"});
  pass_ms(200);
  pipeline_->take_back({"stage 1"});
  give(1, candidates(step));
  give(1, candidates(taken(MessageKind::denoise).at(0).header));
  pass_ms(200);
  EXPECT_TRUE(changes_.empty());
}

TEST_F(RecoveryTest, OneThatLeavesForGoodIsNotTakenBack) {
  start_away();
  pipeline_->forget("stage 1");
  EXPECT_TRUE(pipeline_->idle_work());
  pipeline_->set_aside({"stage 1"});
  pipeline_->take_back({"stage 1"});
  pass_ms(100);
  EXPECT_EQ(changes_, (std::vector<std::vector<std::string>>{{"stage 1"}}));
}

}  // namespace
}  // namespace potluck
