// RecoveryTest: a Pipeline with a plan for each loss, as its tests choose it.
#pragma once

#include "coordinator/recovery.h"
#include "tests/coordinator/pipeline_party.h"

namespace potluck {

class RecoveryTest : public PipelineTest {
 protected:
  RecoveryTest() {
    PipelineEvents events = this->events();
    events.ring_stays = [this](const std::string& why) { stays_ = why; };
    events.left_out = [this](const std::string& worker, const std::string& why) {
      left_out_.push_back(worker + ": " + why);
    };
    PipelineOptions options = this->options();
    options.replan = [this](const RingChange& change, WhyNot& why_not) -> std::optional<Plan> {
      changes_.push_back(change.lost);
      candidates_ = change.candidates;
      if (no_plan_) throw *no_plan_;
      if (change.lost.empty()) {
        if (!better_) why_not[guest().worker.name] = why_no_guest_;
        return better_;
      }
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
    guest.worker.may_be_head = false;
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

  uint64_t id_ = 0;
  uint32_t epoch_ = 1;
  std::vector<std::vector<std::string>> changes_;
  std::optional<Plan> better_;
  std::vector<Candidate> candidates_;  // of the last change
  std::optional<Fault> no_plan_;
  std::string stays_, why_no_guest_ = "it is too slow";
  std::vector<std::string> left_out_;
};

}  // namespace potluck
