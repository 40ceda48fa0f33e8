// A Pipeline takes right replies, passes over stale ones and refuses wrong ones.
#include "tests/coordinator/pipeline_party.h"

namespace potluck {
namespace {

TEST_F(PipelineTest, StaleRepliesAreIgnored) {
  start_two_stages();
  uint64_t id = 0;
  const Header step = step_of(id);
  Message other_epoch = candidates(step), other_coordinator = candidates(step),
          other_request = candidates(step), other_step = candidates(step);
  other_epoch.header.epoch = 2;
  other_coordinator.header.incarnation = 8;
  other_request.header.request = 99;
  other_step.header.key.step = 1;
  for (const Message& stale : {other_epoch, other_coordinator, other_request, other_step})
    give(1, stale);
  Message old_fault = reply(MessageKind::fault, 2);
  old_fault.fault.emplace();
  give(1, old_fault);
  give(77, reply(MessageKind::ready));
  give(1, reply(MessageKind::joined));
  give(1, reply(MessageKind::load));
  EXPECT_TRUE(steps_.empty());
  EXPECT_TRUE(failed_.empty());
  EXPECT_FALSE(ring_fault_);
  give(1, candidates(step));
  give(1, candidates(step));  // twice counts once
  tick();
  EXPECT_EQ(finished_.count(id), 1u);
}

TEST_F(PipelineTest, WrongRepliesFailTheirRequestAlone) {
  start_two_stages();
  const std::vector<std::function<void(Message&)>> damages = {
      [](Message& m) { m.payload.bytes -= 4; },
      [](Message& m) { m.payload = {}; },
      [](Message& m) { m.header.hops.push_back({77}); },
      [](Message& m) { m.header.hops.resize(5, Hop{kHeadPeer}); },
      [](Message& m) { m.header.hops.push_back({kCoordinatorPeer}); },
      [](Message& m) {
        Candidates c{std::vector<int32_t>(8, 320), std::vector<int32_t>(8, 1),
                     std::vector<float>(8, 0)};
        m.payload = encode_candidates(c);
      },
      [](Message& m) {
        Candidates c{std::vector<int32_t>(8, 1), std::vector<int32_t>(8, -1),
                     std::vector<float>(8, 0)};
        m.payload = encode_candidates(c);
      },
      [](Message& m) {
        Candidates c{std::vector<int32_t>(8, 1), std::vector<int32_t>(8, 1),
                     std::vector<float>(8, std::numeric_limits<float>::quiet_NaN())};
        m.payload = encode_candidates(c);
      }};
  for (size_t i = 0; i < damages.size(); ++i) {
    SCOPED_TRACE(i);
    uint64_t id = 0;
    Message wrong = candidates(step_of(id));
    damages[i](wrong);
    give(1, wrong);
    ASSERT_EQ(failed_.count(id), 1u);
    EXPECT_EQ(failed_.at(id).kind(), FaultKind::refused);
    tick();
    EXPECT_FALSE(ring_fault_);
  }
}

// Sorted among others a NaN would lie anywhere, and a canvas of them look certain.
TEST_F(PipelineTest, AnEntropyThatIsNotFiniteEndsTheRequest) {
  start_two_stages();
  for (const float entropy : {NAN, INFINITY, -INFINITY}) {
    uint64_t id = 0;
    Message m = candidates(step_of(id));
    Candidates c = decode_candidates(m.payload, 8);
    c.entropy[3] = entropy;
    m.payload = encode_candidates(c);
    give(1, m);
    tick();
    EXPECT_TRUE(canvases_.empty() && finished_.empty());
    ASSERT_EQ(failed_.count(id), 1u);
    EXPECT_NE(failed_.at(id).text().find("the entropy of position 3 is "), std::string::npos);
    failed_.clear();
  }
}

TEST_F(PipelineTest, AnEncodeAnsweredWronglyFailsItsRequest) {
  start_two_stages();
  for (const int damage : {0, 1, 2}) {
    SCOPED_TRACE(damage);
    const uint64_t id = submit({2, 3, 4});
    Message done = taken(MessageKind::encode).at(0);
    done.header.kind = MessageKind::encode_done;
    if (damage == 0) done.header.rows = 0;
    if (damage == 1) done.header.rows = 4;
    if (damage == 2) done.header.kv_length_before = 1;
    give(3, done);
    ASSERT_EQ(failed_.count(id), 1u);
    EXPECT_EQ(failed_.at(id).kind(), FaultKind::refused);
    tick();
  }
}

TEST_F(PipelineTest, AnAnswerFromAnotherWorkerEndsTheRingByName) {
  start_two_stages();
  uint64_t id = 0;
  give(2, candidates(step_of(id)));
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(ring_fault_->kind(), FaultKind::refused);
  EXPECT_EQ(ring_fault_->where(), "stage 0");
  EXPECT_EQ(ring_fault_->text(), "it sent candidates, which head sends");
  EXPECT_EQ(failed_.count(id), 1u);
}

// The worker itself says no more than the plan that it was given.
TEST_F(PipelineTest, AWorkerThatDoesNotReachTheNextIsToldWithWhatToOpen) {
  Plan far = plan(1);
  far.stages[0].local = far.stages[1].local = false;
  far.stages[0].endpoint = "tcp://10.0.1.2:7000";
  far.stages[1].endpoint = "tcp://10.0.2.2:7000";
  take(pipeline_->start(now_, far));
  for (PeerId link : {1, 2, 3}) up(link);
  Message message = reply(MessageKind::fault, 1);
  message.fault = FaultReport{FaultKind::lost, "stage 1 was not reached at tcp://10.0.2.2:7000",
                              "stage 0", Fix{"see"}};
  give(2, message);
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(
      std::string(ring_fault_->what()),
      "stage 0 could not reach stage 1 at tcp://10.0.2.2:7000; open TCP port 7000 of the "
      "machine of stage 1 (10.0.2.2) to the machine of stage 0 (10.0.1.2), and see that there "
      "is a route between them; or put a stage with \"start: here\" between them");
}

TEST_F(PipelineTest, AWorkerIsToldWhereTheNextIsWithoutOurZone) {
  Plan far = plan(1);
  far.stages[0].local = far.stages[1].local = false;
  far.stages[0].endpoint = "tcp://[fe80::2%cable0]:7000";
  far.stages[1].endpoint = "tcp://[fe80::3%cable0]:7000";
  take(pipeline_->start(now_, far));
  EXPECT_EQ(connects_.back().second.endpoint, "tcp://[fe80::3%cable0]:7000");
  for (PeerId link : {1, 2, 3}) up(link);
  const std::vector<Message> loads = taken(MessageKind::load);
  ASSERT_EQ(loads.size(), 3u);
  EXPECT_EQ(loads[1].load->plan.stages[1].endpoint, "tcp://[fe80::3]:7000");
}

TEST_F(PipelineTest, AWorkerThatNeverCameIsNotCalledLost) {
  take(pipeline_->start(now_, plan(1)));
  up(2);
  down(3, "10.0.0.4 did not answer");
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(std::string(ring_fault_->what()),
            "no link from here to worker stage 1 at test://1: 10.0.0.4 did not answer");
}

TEST_F(PipelineTest, AHelloWithoutANameAndAnEmptyReadyAreRefused) {
  take(pipeline_->start(now_, plan(1)));
  Event nameless;
  nameless.kind = Event::Kind::up;
  nameless.peer = 1;
  take(pipeline_->handle(now_, nameless));
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(ring_fault_->kind(), FaultKind::refused);
  EXPECT_EQ(ring_fault_->where(), "head");
}

TEST_F(PipelineTest, AReadyWithoutSizesIsRefused) {
  take(pipeline_->start(now_, plan(1)));
  for (PeerId link : {1, 2, 3}) up(link);
  give(2, reply(MessageKind::ready));
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(ring_fault_->kind(), FaultKind::refused);
  EXPECT_EQ(ring_fault_->where(), "stage 0");
}

}  // namespace
}  // namespace potluck
