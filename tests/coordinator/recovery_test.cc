// A Pipeline finds out what to do about workers that are lost, suspected, back, or to leave.
#include "tests/coordinator/recovery_party.h"

namespace potluck {
namespace {

TEST_F(RecoveryTest, ALinkThatWasDownForAMomentMeansTheSamePlanAgain) {
  start_away();
  first_step();
  connects_.clear();
  down(3, "closed by peer");
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_EQ(connects_[0].second.endpoint, "test://1");
  pass_ms(200);
  up(connects_[0].first);
  tick();
  EXPECT_TRUE(changes_.empty());
  EXPECT_EQ(taken(MessageKind::load).size(), 3u);
  become_loaded({1, 2, connects_[0].first}, 2);
  answer_encodes_of(connects_[0].first, 2, 3);
  EXPECT_EQ(taken(MessageKind::denoise).at(0).header.key.step, 0u);
  EXPECT_FALSE(ring_fault_);
}

TEST_F(RecoveryTest, AWorkerThatStaysAwayIsReplacedAndTheStallIsToldByItsParts) {
  start_away();
  const Header step = first_step();
  now_ += from_seconds(0.5);
  give(1, candidates(step));
  const Header second = taken(MessageKind::denoise).at(0).header;
  EXPECT_EQ(second.key.step, 1u);
  down(3, "closed by peer");
  pass_ms(900);
  EXPECT_TRUE(changes_.empty());
  pass_ms(200);
  ASSERT_EQ(changes_, (std::vector<std::vector<std::string>>{{"stage 1"}}));
  now_ += from_seconds(2);
  become_one_stage(2);
  answer_encodes_of(2, 2, 3);
  for (int step_of_canvas = 0; step_of_canvas < 2; ++step_of_canvas) {
    const Header again = taken(MessageKind::denoise).at(0).header;
    EXPECT_EQ(again.key.step, static_cast<uint32_t>(step_of_canvas));
    now_ += from_seconds(0.5);
    give(1, candidates(again));
  }
  answer_encodes_of(2, 2, 8);
  for (int left = 0; left < 2; ++left)
    give(1, candidates(taken(MessageKind::denoise).at(0).header));
  ASSERT_EQ(finished_.count(id_), 1u);
  const RequestResult& result = finished_.at(id_);
  EXPECT_EQ(result.steps, (std::vector<int>{2, 2}));
  EXPECT_EQ(result.step_ms.size(), 4u);
  ASSERT_EQ(result.stalls.size(), 1u);
  const Stall& stall = result.stalls[0];
  EXPECT_EQ(stall.why, "lost worker stage 1 at test://1: closed by peer");
  EXPECT_NEAR(stall.detect_seconds, 1, 0.1);
  EXPECT_NEAR(stall.load_seconds, 2, 0.1);
  EXPECT_NEAR(stall.lost_seconds, 0.5, 0.01);
  EXPECT_EQ(canvases_.size(), 2u);
}

// The planner took its time, and the call of whoever was lost failed meanwhile.
TEST_F(RecoveryTest, ACallOfALostWorkerThatFailsUndoesNoPlan) {
  start_away();
  first_step();
  down(3, "closed by peer");
  pass_ms(500);
  now_ += from_seconds(1);
  tick();
  ASSERT_EQ(changes_.size(), 1u);
  down(3, "connection refused");
  pass_ms(1500);
  EXPECT_EQ(changes_.size(), 1u);
  become_one_stage(2);
}

TEST_F(RecoveryTest, ASuspectWhoseLinkStandsIsGivenOneMoreChance) {
  start_away();
  first_step();
  give(2, lost("lost stage 1: silent for 2.0 s"));
  pass_ms(2900);
  EXPECT_TRUE(taken(MessageKind::load).empty());
  pass_ms(200);
  EXPECT_EQ(taken(MessageKind::load).size(), 3u);
  EXPECT_TRUE(changes_.empty());
  epoch_ = 2;
  give(2, lost("lost stage 1: silent for 2.0 s"));
  pass_ms(100);
  EXPECT_EQ(changes_, (std::vector<std::vector<std::string>>{{"stage 1"}}));
}

TEST_F(RecoveryTest, AWorkerWithoutRoomThatNeverHeldAPartIsKnownToHaveNone) {
  std::vector<Candidate> asked;
  Recovery recovery([&](const RingChange& change, WhyNot&) {
    asked = change.candidates;
    return change.plan;
  });
  const Plan plan = this->plan(1);
  recovery.begins_with(plan);
  recovery.does_not_fit(plan.stages[0]);
  recovery.disturbed(now_, Fault(FaultKind::memory, "no room"));
  recovery.next_plan(now_, plan);
  ASSERT_GT(asked.size(), 1u);
  EXPECT_EQ(asked[1].worker.name, plan.stages[0].name);
  EXPECT_EQ(asked[1].bytes_free, 1u);  // 0 would mean that nothing is known
}

TEST_F(RecoveryTest, WithoutAnotherPlanTheFirstLossIsTold) {
  no_plan_.emplace(FaultKind::memory, "nobody has room for layers 2:4", Fix{"add a worker"});
  start_away();
  first_step();
  down(3, "closed by peer");
  pass_ms(1100);
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(std::string(ring_fault_->what()),
            "lost worker stage 1 at test://1: closed by peer; there is no other plan: nobody has "
            "room for layers 2:4; add a worker");
  EXPECT_EQ(failed_.at(id_).kind(), FaultKind::lost);
}

TEST_F(RecoveryTest, AKeptSessionIsEncodedAgainBeforeItGoesOn) {
  const uint64_t session = kept_session();
  take(pipeline_->start(now_, away(plan(2))));
  become_loaded({1, 2, 3}, 2);
  sent_.clear();
  down(3, "closed by peer");
  pass_ms(1100);
  become_one_stage(3);
  submit({2, 3, 4, 5, 6}, session);
  answer_encodes_of(2, 3, 5);
}

TEST_F(RecoveryTest, AWorkerLeavesWhenACanvasIsCommitted) {
  start_away();
  const Header step = first_step();
  pipeline_->forget("stage 1");
  pass_ms(200);
  EXPECT_TRUE(changes_.empty());
  give(1, candidates(step));
  give(1, candidates(taken(MessageKind::denoise).at(0).header));
  EXPECT_EQ(canvases_.size(), 1u);
  EXPECT_TRUE(taken(MessageKind::encode).empty());
  tick();
  EXPECT_EQ(changes_, (std::vector<std::vector<std::string>>{{"stage 1"}}));
  EXPECT_EQ(drops_, std::vector<PeerId>{3});
  become_one_stage(2);
  answer_encodes_of(2, 2, 11);
  EXPECT_EQ(taken(MessageKind::denoise).at(0).header.key.canvas, 1u);
}

TEST_F(RecoveryTest, AWorkerThatAsksIsDoneWithoutAsWell) {
  start_away();
  give(3, reply(MessageKind::drain));
  tick();
  EXPECT_EQ(changes_, (std::vector<std::vector<std::string>>{{"stage 1"}}));
}

TEST_F(RecoveryTest, AWorkerOfThisMachineThatAsksIsDialedAgainAsOthersAre) {
  take(pipeline_->start(now_, plan(1)));
  come_up({1, 2, 3});
  give(3, reply(MessageKind::drain));
  tick();
  ASSERT_EQ(changes_, (std::vector<std::vector<std::string>>{{"stage 1"}}));
  become_loaded({1, 2}, 2);
  connects_.clear();
  pass_ms(6000);
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_EQ(connects_[0].second.endpoint, "test://1");
}

TEST_F(RecoveryTest, AWorkerOfTheFirstPlanThatIsNotReachedIsDoneWithoutWhereItsOwnerMay) {
  for (const bool may : {false, true}) {
    changes_.clear();
    PipelineOptions options = this->options();
    options.replan = [this](const RingChange& change, WhyNot&) {
      changes_.push_back(change.lost);
      return away(plan(1, 1));
    };
    options.may_begin_without = may;
    ring_fault_.reset();
    pipeline_.emplace(source_->spec(), model_, events(), options);
    take(pipeline_->start(now_, away(plan(1))));
    up(1);
    up(2);
    down(3, "No route to host");
    pass_ms(1100);
    EXPECT_EQ(ring_fault_.has_value(), !may);
    EXPECT_EQ(changes_.size(), may ? 1u : 0u);
  }
}

TEST_F(RecoveryTest, AWorkerThatSendsWhatItMayNotIsLostAndTheRingGoesOn) {
  start_away();
  first_step();
  Message wrong = reply(MessageKind::candidates);
  give(3, wrong);
  EXPECT_EQ(drops_, std::vector<PeerId>{3});
  connects_.clear();
  pass_ms(300);
  for (const auto& [link, address] : std::vector(connects_)) up(link);
  pass_ms(900);
  EXPECT_FALSE(ring_fault_);
  ASSERT_EQ(changes_, (std::vector<std::vector<std::string>>{{"stage 1"}}));
  become_one_stage(2);
  answer_encodes_of(2, 2, 3);
}

TEST_F(RecoveryTest, OneThatIsNoWorkerOfThePlanEndsNothingByWhatItSends) {
  start_away();
  first_step();
  const PeerId link = invite_guest();
  give(link, reply(MessageKind::candidates));
  EXPECT_EQ(drops_, std::vector<PeerId>{link});
  pass_ms(500);
  EXPECT_FALSE(ring_fault_);
  EXPECT_TRUE(changes_.empty());
}

TEST_F(RecoveryTest, WithoutRecoveryAWorkerThatAsksStays) {
  PipelineEvents events = this->events();
  events.ring_stays = [this](const std::string& why) { stays_ = why; };
  pipeline_.emplace(source_->spec(), model_, events, options());
  start_away();
  give(3, reply(MessageKind::drain));
  tick();
  EXPECT_EQ(stays_, "stage 1 cannot leave: this ring ends with the workers that it began with");
  EXPECT_FALSE(ring_fault_);
}

TEST_F(RecoveryTest, AWorkerThatCannotBeDoneWithoutStays) {
  no_plan_.emplace(FaultKind::memory, "nobody has room for layers 2:4");
  start_away();
  const Header step = first_step();
  pipeline_->forget("stage 1");
  give(1, candidates(step));
  give(1, candidates(taken(MessageKind::denoise).at(0).header));
  pass_ms(50);
  EXPECT_EQ(stays_, "stage 1 cannot leave: nobody has room for layers 2:4");
  EXPECT_EQ(taken(MessageKind::encode).size(), 2u);
  EXPECT_FALSE(ring_fault_);
}

}  // namespace
}  // namespace potluck
