// A Pipeline whose workers are the test: verbs to start it and to answer it, and what it asked and
// told. Nothing computes.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "coordinator/pipeline.h"
#include "topology/model/locator.h"
#include "topology/plan/even_partitioner.h"
#include "transport/candidates.h"

namespace potluck {

inline constexpr uint64_t kIncarnation = 7;

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

  void down(PeerId link, const std::string& reason) {
    Event event;
    event.kind = Event::Kind::down;
    event.peer = link;
    event.reason = reason;
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
  std::vector<std::pair<PeerId, Address>> connects_;
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

}  // namespace potluck
