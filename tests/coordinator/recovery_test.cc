// A Pipeline finds out what to do about workers that are lost, suspected, back, or to leave.
#include "coordinator/recovery.h"

#include "tests/coordinator/pipeline_party.h"

namespace potluck {
namespace {

class RecoveryTest : public PipelineTest {
 protected:
  RecoveryTest() {
    PipelineEvents events = this->events();
    events.ring_stays = [this](const std::string& why) { stays_ = why; };
    PipelineOptions options = this->options();
    options.replan = [this](const RingChange& change) -> std::optional<Plan> {
      changes_.push_back(change.lost);
      candidates_ = change.candidates;
      if (no_plan_) throw *no_plan_;
      if (change.lost.empty()) return better_;
      return away(plan(1, 1));
    };
    pipeline_.emplace(source_->spec(), model_, events, options);
  }

  // Whom nobody starts here again.
  static Plan away(Plan plan) {
    plan.head.local = false;
    for (WorkerPlan& stage : plan.stages) stage.local = false;
    return plan;
  }

  void start_away() {
    take(pipeline_->start(now_, away(plan(1))));
    come_up({1, 2, 3});
    sent_.clear();
    now_ += from_seconds(1);
  }

  // A request of two canvases, up to its first step.
  Header first_step() {
    Request request;
    request.prompt = {2, 3, 4};
    request.max_tokens = 16;
    request.generation.max_steps = 2;
    id_ = pipeline_->submit(request);
    tick();
    answer_encodes();
    taken(MessageKind::open);
    return taken(MessageKind::denoise).at(0).header;
  }

  void pass_ms(int ms) {
    for (; ms > 0; ms -= 50) {
      now_ += from_seconds(0.05);
      tick();
    }
  }

  // The head and the one stage of the plan that follows.
  void become_one_stage(uint32_t epoch) {
    become_loaded({1, 2}, epoch);
    EXPECT_EQ(taken(MessageKind::open).size(), 1u);
  }

  void answer_encodes_of(PeerId last, uint32_t epoch, int rows) {
    std::vector<Message> sent = taken(MessageKind::encode);
    ASSERT_FALSE(sent.empty());
    int encoded = 0;
    for (Message& m : sent) {
      encoded += m.header.rows;
      EXPECT_EQ(m.header.epoch, epoch);
      m.header.kind = MessageKind::encode_done;
      give(last, m);
    }
    EXPECT_EQ(encoded, rows);
  }

  Message lost(const std::string& text) const {
    Message m = reply(MessageKind::fault, epoch_);
    m.fault = FaultReport{FaultKind::lost, text, "stage 0", {}};
    return m;
  }

  uint64_t id_ = 0;
  uint32_t epoch_ = 1;
  std::vector<std::vector<std::string>> changes_;
  // A plan of three stages, the last of which is a guest's.
  Plan with_guest() const {
    Plan next = away(plan(1, 3));
    next.stages[2].name = guest().worker.name;
    next.stages[2].endpoint = guest().worker.endpoint;
    return next;
  }

  static Candidate guest() {
    Candidate guest;
    guest.worker.name = "laptop";
    guest.worker.endpoint = "test://laptop";
    guest.may_be_head = false;
    return guest;
  }

  // The link over which the guest was dialed.
  PeerId invite_guest() {
    connects_.clear();
    pipeline_->invite(guest());
    tick();
    EXPECT_EQ(connects_.size(), 1u);
    return connects_.empty() ? 0 : connects_[0].first;
  }

  bool was_dialed(const std::string& endpoint) const {
    return std::any_of(connects_.begin(), connects_.end(),
                       [&](const auto& each) { return each.second.endpoint == endpoint; });
  }

  std::optional<Plan> better_;
  std::vector<Candidate> candidates_;  // of the last change
  std::optional<Fault> no_plan_;
  std::string stays_;
};

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
  Recovery recovery([&](const RingChange& change) {
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
  pipeline_->drain("stage 1");
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
    options.replan = [this](const RingChange& change) {
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

TEST_F(RecoveryTest, WhoeverJoinedMayNotBecomeTheHeadLater) {
  start_away();
  up(invite_guest());
  tick();
  ASSERT_EQ(candidates_.size(), 4u);
  for (const Candidate& each : candidates_)
    EXPECT_EQ(each.may_be_head, each.worker.name != "laptop") << each.worker.name;
}

TEST_F(RecoveryTest, AWorkerOfTheFirstPlanThatMayNotBeTheHeadIsKnown) {
  Recovery recovery(
      [&](const RingChange& change) {
        candidates_ = change.candidates;
        return change.plan;
      },
      {"stage 1"});
  recovery.begins_with(plan(1));
  recovery.gone(now_, plan(1).stages[0]);
  recovery.disturbed(now_, Fault(FaultKind::lost, "gone"));
  now_ += from_seconds(2);
  recovery.next_plan(now_, plan(1));
  ASSERT_EQ(candidates_.size(), 2u);
  EXPECT_TRUE(candidates_[0].may_be_head);
  EXPECT_FALSE(candidates_[1].may_be_head);
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
  pipeline_->drain("stage 1");
  EXPECT_THROW(pipeline_->drain("stage 7"), Fault);
  give(1, candidates(step));
  give(1, candidates(taken(MessageKind::denoise).at(0).header));
  pass_ms(50);
  EXPECT_EQ(stays_, "stage 1 cannot leave: nobody has room for layers 2:4");
  EXPECT_EQ(taken(MessageKind::encode).size(), 2u);
  EXPECT_FALSE(ring_fault_);
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

}  // namespace
}  // namespace potluck
