// A Worker whose coordinator and neighbours are the test: verbs to load it and to send it messages,
// and what it answers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "shard/worker.h"
#include "topology/model/locator.h"
#include "topology/plan/even_partitioner.h"

namespace potluck {

inline constexpr uint64_t kIncarnation = 7;
inline constexpr int kCanvas = 8, kVocab = 320, kHidden = 32;

// A model whose last layer cannot be read: that is found out only when its part is built.
class HalfAModel final : public ModelSource {
 public:
  enum class Ends { with_a_fault, without_memory, oddly };
  explicit HalfAModel(std::shared_ptr<const ModelSource> whole, Ends ends = Ends::with_a_fault)
      : whole_(std::move(whole)), ends_(ends) {}
  const ModelSpec& spec() const override { return whole_->spec(); }
  const std::vector<TensorInfo>& tensors() const override { return whole_->tensors(); }
  TensorBytes map(const TensorInfo& tensor) const override {
    if (tensor.name.find(".3.") != std::string::npos) {
      if (ends_ == Ends::without_memory) throw std::bad_alloc();
      if (ends_ == Ends::oddly) throw std::runtime_error("an odd end");
      throw Fault(FaultKind::world, "the disk is gone");
    }
    return whole_->map(tensor);
  }
  void drop_cached() const override { whole_->drop_cached(); }
  Vocabulary vocabulary() const override { return whole_->vocabulary(); }
  std::string description() const override { return whole_->description(); }
  std::vector<std::string> notes() const override { return {}; }

 private:
  const std::shared_ptr<const ModelSource> whole_;
  const Ends ends_;
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() { start(); }

  void start() {
    WorkerOptions options;
    options.threads = 1;
    worker_.emplace(source_, options);
    up(kCoordinatorPeer, kIncarnation, 1);
  }

  Plan plan(uint32_t epoch, int stages = 2) const {
    Plan plan = plan_local(source_->spec(), EvenPartitioner(stages).layer_counts(*source_));
    plan.epoch = epoch;
    plan.ctx_size = 64;
    plan.chunk = 4;
    plan.stream = plan.kv = plan.head.hop_type = DType::f32;
    plan.head.endpoint = "test://head";
    for (int i = 0; i < stages; ++i) {
      plan.stages[static_cast<size_t>(i)].endpoint = "test://" + std::to_string(i);
      plan.stages[static_cast<size_t>(i)].hop_type = DType::f32;
    }
    return plan;
  }

  Message message(MessageKind kind, uint32_t epoch) const {
    Message m;
    m.header.kind = kind;
    stamp(m.header, RingId{kIncarnation, epoch});
    return m;
  }

  // The worker's answers to it, and to all that it queues.
  Outbox give(PeerId from, Message m) {
    Event event;
    event.peer = m.header.source = from;
    event.message = std::move(m);
    Outbox out = worker_->handle(Time{}, std::move(event));
    while (worker_->idle_work())
      for (Message& more : worker_->tick(Time{}).messages) out.messages.push_back(std::move(more));
    return out;
  }

  Outbox up(PeerId peer, uint64_t incarnation, uint32_t epoch) {
    Event event;
    event.kind = Event::Kind::up;
    event.peer = peer;
    event.message.header.kind = MessageKind::hello;
    stamp(event.message.header, RingId{incarnation, epoch});
    event.message.hello.emplace();
    return worker_->handle(Time{}, std::move(event));
  }

  Outbox down(PeerId peer) {
    Event event;
    event.kind = Event::Kind::down;
    event.peer = peer;
    event.reason = "closed by peer";
    return worker_->handle(Time{}, std::move(event));
  }

  Outbox load(const Plan& plan, PeerId you) {
    Message order = message(MessageKind::load, plan.epoch);
    order.load = Load{plan, you, model_};
    return give(kCoordinatorPeer, order);
  }

  static const Message* find(const Outbox& out, MessageKind kind) {
    for (const Message& m : out.messages)
      if (m.header.kind == kind) return &m;
    return nullptr;
  }

  // The fault's text, empty if there is none.
  static std::string fault(const Outbox& out, FaultKind kind) {
    const Message* m = find(out, MessageKind::fault);
    if (!m) return "";
    EXPECT_EQ(static_cast<int>(m->fault->kind), static_cast<int>(kind)) << m->fault->what;
    return m->fault->what;
  }
  static std::string refusal(const Outbox& out) { return fault(out, FaultKind::refused); }

  Message with_payload(MessageKind kind, uint32_t epoch, int rows, size_t bytes) const {
    Message m = message(kind, epoch);
    m.header.session = 1;
    m.header.request = 9;
    m.header.rows = rows;
    m.payload = own_payload(std::vector<std::byte>(bytes));
    return m;
  }
  Message ids(MessageKind kind, uint32_t epoch, int rows) const {
    return with_payload(kind, epoch, rows, static_cast<size_t>(rows) * 4);
  }
  Message activations(MessageKind kind, uint32_t epoch, int rows) const {
    return with_payload(kind, epoch, rows, static_cast<size_t>(rows) * kHidden * 4);
  }
  void open_session(uint32_t epoch, PeerId from = kCoordinatorPeer) {
    Message open = message(MessageKind::open, epoch);
    open.header.session = 1;
    give(from, open);
  }

  // An encode of one id by the head, or of one row by a stage.
  bool serves(uint32_t epoch, bool head) {
    open_session(epoch, head ? kCoordinatorPeer : kHeadPeer);
    const Outbox out = head ? give(kCoordinatorPeer, ids(MessageKind::encode, epoch, 1))
                            : give(kHeadPeer, activations(MessageKind::encode, epoch, 1));
    return find(out, MessageKind::encode) != nullptr;
  }

  const std::shared_ptr<const ModelSource> source_ =
      open_model("synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5");
  const Fingerprint model_{spec_digest(*source_), 0, {}};
  std::optional<Worker> worker_;
};

}  // namespace potluck
