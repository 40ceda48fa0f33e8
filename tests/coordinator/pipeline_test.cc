// How a Pipeline starts its ring and starts it again, and how it answers requests.
#include "tests/coordinator/pipeline_party.h"

namespace potluck {
namespace {

TEST_F(PipelineTest, ConnectsThenLoadsThenJoins) {
  take(pipeline_->start(now_, plan(1)));
  EXPECT_EQ(connects_.size(), 3u);
  up(1);
  up(2);
  EXPECT_TRUE(taken(MessageKind::load).empty());
  up(3);
  EXPECT_EQ(taken(MessageKind::load).size(), 3u);
  Message ready = reply(MessageKind::ready);
  ready.ready.emplace();
  give(1, ready);
  give(1, ready);  // twice counts once
  give(2, ready);
  EXPECT_TRUE(taken(MessageKind::join).empty());
  give(3, ready);
  const std::vector<Message> joins = taken(MessageKind::join);
  ASSERT_EQ(joins.size(), 3u);
  EXPECT_EQ(ring_of(joins[0].header), (RingId{kIncarnation, 1}));
  for (PeerId link : {1, 2, 3}) {
    EXPECT_EQ(loaded_, 0);
    give(link, reply(MessageKind::joined));
  }
  EXPECT_EQ(loaded_, 1);
}

TEST_F(PipelineTest, OnlyAWorkerElsewhereHasTheTimeToFetch) {
  for (const bool local : {false, true}) {
    SCOPED_TRACE(local);
    PipelineOptions options = this->options();
    options.fetch_seconds = 1000;
    ring_fault_.reset();
    pipeline_.emplace(source_->spec(), model_, events(), options);
    Plan far = plan(1);
    far.stages[0].local = local;
    far.stages[1].local = false;
    take(pipeline_->start(now_, far));
    for (PeerId link : {1, 2, 3}) up(link);
    Message ready = reply(MessageKind::ready);
    ready.ready.emplace();
    give(1, ready);
    now_ += from_seconds(61);
    tick();
    EXPECT_EQ(ring_fault_.has_value(), local);
    now_ += from_seconds(1000);
    tick();
    ASSERT_TRUE(ring_fault_);
    EXPECT_EQ(ring_fault_->text(), local ? "stage 0 did not get ready within 60 s"
                                         : "stage 0, stage 1 did not get ready within 1000 s");
  }
}

TEST_F(PipelineTest, NamesTheWorkersThatAreLate) {
  take(pipeline_->start(now_, plan(1)));
  up(1);
  now_ += from_seconds(61);
  tick();
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(ring_fault_->text(), "stage 0, stage 1 did not get ready within 60 s");
  EXPECT_TRUE(ended_);
}

TEST_F(PipelineTest, ALongWaitForWorkersSaysForWhom) {
  take(pipeline_->start(now_, plan(1)));
  up(1);
  pass(4);
  EXPECT_TRUE(waits_.empty());
  pass(2);
  EXPECT_EQ(waits_, std::vector<std::string>{"stage 0, stage 1 to answer, 5 s"});
  pass(31);
  EXPECT_EQ(waits_.size(), 2u);
  up(2);
  up(3);
  Message ready = reply(MessageKind::ready);
  ready.ready.emplace();
  give(1, ready);
  give(2, ready);
  pass(6);
  EXPECT_EQ(waits_.back(), "stage 1 to load its part of the model, 5 s");
  give(3, ready);
  pass(6);
  EXPECT_EQ(waits_.back(), "head, stage 0, stage 1 to be joined to the ring, 5 s");
}

TEST_F(PipelineTest, ALongWaitForAReplySaysWhichOnce) {
  start_two_stages();
  pass(1);
  submit({2, 3, 4});
  pass(30);
  EXPECT_EQ(waits_, std::vector<std::string>{"tokens 0 to 3 of the encode, 5 s"});
  answer_encodes();
  pass(6);
  EXPECT_EQ(waits_.back(), "step 0 of canvas 0, 5 s");
  EXPECT_EQ(waits_.size(), 2u);
}

TEST_F(PipelineTest, EveryEventNamesItsRequest) {
  start_two_stages();
  uint64_t id = 0;
  const Header step = step_of(id);
  give(1, candidates(step));
  tick();
  ASSERT_EQ(encodes_.size(), 2u);
  EXPECT_EQ(encodes_[0].request, id);
  EXPECT_EQ(encodes_[0].done, 0);
  EXPECT_EQ(encodes_[1].done, 3);
  EXPECT_EQ(steps_, std::vector<uint64_t>{id});
  EXPECT_EQ(canvases_, std::vector<uint64_t>{id});
  EXPECT_EQ(finished_.count(id), 1u);
}

TEST_F(PipelineTest, EncodesWhatTheSessionDoesNotHold) {
  const uint64_t session = kept_session();
  submit({2, 3, 4, 5, 6, 7, 8, 9}, session);
  std::vector<Message> chunks = taken(MessageKind::encode);
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].header.session, session);
  EXPECT_EQ(chunks[0].header.kv_length_before, 3);
  EXPECT_EQ(chunks[0].header.rows, 4);
  EXPECT_EQ(chunks[1].header.rows, 1);
}

TEST_F(PipelineTest, ASessionGoesBackToWhatThePromptBeginsWithToo) {
  const uint64_t session = kept_session();
  submit({2, 99, 4, 5}, session);
  const Header cut = taken(MessageKind::truncate).at(0).header;
  EXPECT_EQ(cut.session, session);
  EXPECT_EQ(cut.kv_length_before, 1);
  const Header chunk = taken(MessageKind::encode).at(0).header;
  EXPECT_EQ(chunk.session, session);
  EXPECT_EQ(chunk.kv_length_before, 1);
  EXPECT_EQ(chunk.rows, 3);
}

TEST_F(PipelineTest, APromptWithAnotherBeginningGetsANewSession) {
  const uint64_t session = kept_session();
  submit({99, 4, 5}, session);
  EXPECT_EQ(taken(MessageKind::close).at(0).header.session, session);
  const Header chunk = taken(MessageKind::encode).at(0).header;
  EXPECT_NE(chunk.session, session);
  EXPECT_EQ(chunk.kv_length_before, 0);
  EXPECT_EQ(chunk.rows, 3);
}

TEST_F(PipelineTest, ASessionIsAskedOneThingAtATime) {
  start_two_stages();
  uint64_t id = 0;
  const Header step = step_of(id);
  const uint64_t second = submit({2, 3, 4, 5}, step.session);
  EXPECT_TRUE(taken(MessageKind::encode).empty());
  give(1, candidates(step));
  tick();
  EXPECT_EQ(taken(MessageKind::encode).at(0).header.request, second);
}

TEST_F(PipelineTest, ARequestThatWaitsBeginsAsSoonAsAnotherEnds) {
  start_two_stages();
  uint64_t first = 0;
  const Header step = step_of(first);
  const uint64_t second = submit({2, 3, 4, 5}, step.session);
  give(1, candidates(step));
  EXPECT_EQ(finished_.count(first), 1u);
  EXPECT_EQ(taken(MessageKind::encode).at(0).header.request, second);
}

TEST_F(PipelineTest, OrdersAreWorkThatDoesNotWaitForAnEvent) {
  start_two_stages();
  EXPECT_FALSE(pipeline_->idle_work());
  const uint64_t id = submit({2, 3, 4});
  EXPECT_FALSE(pipeline_->idle_work());
  pipeline_->cancel(id);
  EXPECT_TRUE(pipeline_->idle_work());
  tick();
  EXPECT_EQ(failed_.at(id).kind(), FaultKind::canceled);
  EXPECT_FALSE(pipeline_->idle_work());
}

TEST_F(PipelineTest, ASessionThatIsClosedCancelsTheRequestThatRunsInIt) {
  start_two_stages();
  uint64_t id = 0;
  const Header step = step_of(id);
  pipeline_->close_session(step.session);
  tick();
  EXPECT_EQ(failed_.at(id).kind(), FaultKind::canceled);
  EXPECT_EQ(taken(MessageKind::close).at(0).header.session, step.session);
  give(1, candidates(step));
  EXPECT_TRUE(steps_.empty());
}

// The head and the last stage change places: their links stay, and are told apart by endpoint.
TEST_F(PipelineTest, ARingThatIsLoadedAgainKeepsItsLinks) {
  start_two_stages();
  uint64_t id = 0;
  step_of(id);
  connects_.clear();
  sent_.clear();
  Plan exchanged = plan(2);
  std::swap(exchanged.head.endpoint, exchanged.stages[1].endpoint);
  take(pipeline_->start(now_, exchanged));
  EXPECT_TRUE(failed_.empty());
  EXPECT_TRUE(connects_.empty());
  EXPECT_TRUE(drops_.empty());
  std::map<PeerId, PeerId> you;
  for (const Message& load : taken(MessageKind::load))
    you[load.header.destination] = load.load->you;
  EXPECT_EQ(you, (std::map<PeerId, PeerId>{{1, 3}, {2, 2}, {3, 1}}));
  become_loaded({1, 2, 3}, 2);
  EXPECT_EQ(loaded_, 2);
  EXPECT_EQ(taken(MessageKind::open).at(0).header.destination, 3);
  const Header chunk = taken(MessageKind::encode).at(0).header;
  EXPECT_EQ(chunk.request, id);
  EXPECT_EQ(chunk.rows, 3);
}

TEST_F(PipelineTest, ARingThatIsLoadedAgainConnectsWhatIsNewAndDropsWhatIsNot) {
  start_two_stages();
  connects_.clear();
  Plan moved = plan(2);
  moved.stages[0].endpoint = "test://elsewhere";
  std::swap(moved.head.endpoint, moved.stages[1].endpoint);
  take(pipeline_->start(now_, moved));
  EXPECT_EQ(drops_, std::vector<PeerId>{2});
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_EQ(connects_[0].second.endpoint, "test://elsewhere");
}

TEST_F(PipelineTest, ARingThatFailedComesToLifeAgain) {
  start_two_stages();
  down(3, "closed by peer");
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(ring_fault_->kind(), FaultKind::lost);
  connects_.clear();
  take(pipeline_->start(now_, plan(2)));
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_EQ(connects_[0].second.endpoint, "test://1");
  come_up({3}, 2);
  become_loaded({1, 2, 3}, 2);
  EXPECT_EQ(loaded_, 2);
}

// A worker answers when another has been lost already.
TEST_F(PipelineTest, ARingThatFailedWhileItConnectedComesToLife) {
  take(pipeline_->start(now_, plan(1)));
  down(3, "closed by peer");
  ASSERT_TRUE(ring_fault_);
  come_up({1, 2}, 1);
  take(pipeline_->start(now_, plan(2)));
  come_up({3}, 2);
  become_loaded({1, 2, 3}, 2);
  EXPECT_EQ(loaded_, 1);
}

TEST_F(PipelineTest, AnEpochIsNotUsedTwice) {
  start_two_stages();
  try {
    pipeline_->start(now_, plan(1));
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
  }
  EXPECT_EQ(loaded_, 1);
}

}  // namespace
}  // namespace potluck
