// A Pipeline and what the wire may bring it: right replies, stale ones, wrong ones. The workers are
// this test; nothing computes.
#include "coordinator/pipeline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "topology/model/locator.h"
#include "topology/plan/even_partitioner.h"
#include "transport/candidates.h"

namespace potluck {
namespace {

constexpr uint64_t kIncarnation = 7;

class PipelineTest : public testing::Test {
 protected:
  PipelineTest() { pipeline_.emplace(source_->spec(), model_, events(), options()); }

  PipelineOptions options() const {
    PipelineOptions options;
    options.incarnation = kIncarnation;
    options.load_timeout_seconds = 60;
    return options;
  }

  PipelineEvents events() {
    PipelineEvents events;
    events.start.loaded = [this] { ++loaded_; };
    events.start.waiting = [this](const std::string& what, double seconds) {
      waits_.push_back(what + ", " + std::to_string(std::lround(seconds)) + " s");
    };
    events.requests.waiting = [this](const WaitReport& report) {
      waits_.push_back(report.what + ", " + std::to_string(std::lround(report.seconds)) + " s");
    };
    events.requests.encoding = [this](const EncodeReport& report) { encodes_.push_back(report); };
    events.requests.step = [this](const StepReport& report) { steps_.push_back(report.request); };
    events.requests.canvas_done = [this](const CanvasReport& report) {
      canvases_.push_back(report.request);
    };
    events.requests.finished = [this](uint64_t id, const RequestResult& result) {
      finished_[id] = result;
    };
    events.requests.failed = [this](uint64_t id, const Fault& fault) {
      failed_.emplace(id, fault);
    };
    events.ring_failed = [this](const Fault& fault) { ring_fault_ = fault; };
    return events;
  }

  Plan plan(uint32_t epoch, int stages = 2) const {
    Plan plan = plan_local(source_->spec(), EvenPartitioner(stages).layer_counts(*source_));
    plan.epoch = epoch;
    plan.ctx_size = 64;
    plan.chunk = 4;
    plan.sessions = 2;
    plan.head.endpoint = "test://head";
    for (int i = 0; i < stages; ++i)
      plan.stages[static_cast<size_t>(i)].endpoint = "test://" + std::to_string(i);
    return plan;
  }

  void take(Outbox out) {
    for (auto& connect : out.connects) connects_.push_back(connect);
    for (Message& m : out.messages) sent_.push_back(std::move(m));
    drops_.insert(drops_.end(), out.drops.begin(), out.drops.end());
    ended_ = ended_ || out.finished;
  }

  // The messages of a kind since the last call, in order.
  std::vector<Message> taken(MessageKind kind) {
    std::vector<Message> found;
    for (const Message& m : sent_)
      if (m.header.kind == kind) found.push_back(m);
    std::erase_if(sent_, [&](const Message& m) { return m.header.kind == kind; });
    return found;
  }

  void up(PeerId link) {
    Event event;
    event.kind = Event::Kind::up;
    event.peer = link;
    event.message.hello.emplace();
    take(pipeline_->handle(now_, event));
  }

  Message reply(MessageKind kind, uint32_t epoch = 1) const {
    Message m;
    m.header.kind = kind;
    stamp(m.header, RingId{kIncarnation, epoch});
    return m;
  }

  void give(PeerId link, Message message) {
    Event event;
    event.peer = message.header.source = link;
    event.message = std::move(message);
    take(pipeline_->handle(now_, std::move(event)));
  }

  void tick() { take(pipeline_->tick(now_)); }

  void come_up(const std::vector<PeerId>& links, uint32_t epoch = 1) {
    for (PeerId link : links) up(link);
    become_loaded(links, epoch);
  }
  void become_loaded(const std::vector<PeerId>& links, uint32_t epoch) {
    for (PeerId link : links) {
      Message ready = reply(MessageKind::ready, epoch);
      ready.ready.emplace();
      give(link, ready);
    }
    for (PeerId link : links) give(link, reply(MessageKind::joined, epoch));
  }

  void start_two_stages() {
    take(pipeline_->start(now_, plan(1)));
    come_up({1, 2, 3});
    ASSERT_EQ(loaded_, 1);
    sent_.clear();
  }

  uint64_t submit(std::vector<int32_t> prompt, uint64_t session = 0) {
    Request request;
    request.prompt = std::move(prompt);
    request.session = session;
    request.keep_session = true;
    request.max_tokens = 8;
    request.generation.max_steps = 1;
    const uint64_t id = pipeline_->submit(request);
    tick();
    return id;
  }

  // Answers every encode chunk that was sent.
  void answer_encodes() {
    for (std::vector<Message> sent = taken(MessageKind::encode); !sent.empty();
         sent = taken(MessageKind::encode))
      for (Message& m : sent) {
        m.header.kind = MessageKind::encode_done;
        give(3, m);
      }
  }

  Message candidates(const Header& to) const {
    Message m;
    m.header = to;
    m.header.kind = MessageKind::candidates;
    Candidates c;
    c.argmax = c.sample = std::vector<int32_t>(8, 5);
    c.entropy = std::vector<float>(8, 0.5f);
    m.payload = encode_candidates(c);
    return m;
  }

  // One request up to its only step; gives back that step's header.
  Header step_of(uint64_t& id) {
    id = submit({2, 3, 4});
    answer_encodes();
    const std::vector<Message> steps = taken(MessageKind::denoise);
    EXPECT_EQ(steps.size(), 1u);
    return steps.at(0).header;
  }

  void pass(int seconds) {
    for (; seconds > 0; --seconds) {
      now_ += from_seconds(1);
      tick();
    }
  }

  // An open session that holds the ids 2, 3 and 4.
  uint64_t kept_session() {
    start_two_stages();
    uint64_t id = 0;
    const Header step = step_of(id);
    give(1, candidates(step));
    tick();
    sent_.clear();
    return finished_.at(id).session;
  }

  const std::shared_ptr<const ModelSource> source_ =
      open_model("synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5");
  Fingerprint model_ = [this] {
    Fingerprint model;
    model.spec = spec_digest(*source_);
    return model;
  }();
  Time now_{};
  std::optional<Pipeline> pipeline_;
  std::vector<std::pair<PeerId, std::string>> connects_;
  std::vector<Message> sent_;
  std::vector<PeerId> drops_;
  bool ended_ = false;
  int loaded_ = 0;
  std::vector<EncodeReport> encodes_;
  std::vector<std::string> waits_;
  std::vector<uint64_t> steps_, canvases_;
  std::map<uint64_t, RequestResult> finished_;
  std::map<uint64_t, Fault> failed_;
  std::optional<Fault> ring_fault_;
};

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
  EXPECT_EQ(failed_.at(id).kind(), FaultKind::canceled);
  EXPECT_TRUE(connects_.empty());
  EXPECT_TRUE(drops_.empty());
  std::map<PeerId, PeerId> you;
  for (const Message& load : taken(MessageKind::load))
    you[load.header.destination] = load.load->you;
  EXPECT_EQ(you, (std::map<PeerId, PeerId>{{1, 3}, {2, 2}, {3, 1}}));
  become_loaded({1, 2, 3}, 2);
  EXPECT_EQ(loaded_, 2);
  submit({2, 3});
  EXPECT_EQ(taken(MessageKind::open).at(0).header.destination, 3);
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
  EXPECT_EQ(connects_[0].second, "test://elsewhere");
}

TEST_F(PipelineTest, ARingThatFailedComesToLifeAgain) {
  start_two_stages();
  Event down;
  down.kind = Event::Kind::down;
  down.peer = 3;
  down.reason = "closed by peer";
  take(pipeline_->handle(now_, down));
  ASSERT_TRUE(ring_fault_);
  EXPECT_EQ(ring_fault_->kind(), FaultKind::lost);
  connects_.clear();
  take(pipeline_->start(now_, plan(2)));
  ASSERT_EQ(connects_.size(), 1u);
  EXPECT_EQ(connects_[0].second, "test://1");
  come_up({3}, 2);
  become_loaded({1, 2, 3}, 2);
  EXPECT_EQ(loaded_, 2);
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
