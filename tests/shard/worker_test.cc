// A Worker and what the wire may bring it: loads, one after another and some that fail; messages
// that are stale, twice there, or wrong. The coordinator and the neighbours are this test.
#include "shard/worker.h"

#include <gtest/gtest.h>

#include <limits>

#include "topology/model/locator.h"
#include "topology/plan/even_partitioner.h"

namespace potluck {
namespace {

constexpr uint64_t kIncarnation = 7;
constexpr int kCanvas = 8, kVocab = 320, kHidden = 32;

// A model whose last layer cannot be read: that is found out only when its part is built.
class HalfAModel final : public ModelSource {
 public:
  explicit HalfAModel(std::shared_ptr<const ModelSource> whole) : whole_(std::move(whole)) {}
  const ModelSpec& spec() const override { return whole_->spec(); }
  const std::vector<TensorInfo>& tensors() const override { return whole_->tensors(); }
  TensorBytes map(const TensorInfo& tensor) const override {
    if (tensor.name.find(".3.") != std::string::npos)
      throw Fault(FaultKind::world, "the disk is gone");
    return whole_->map(tensor);
  }
  void drop_cached() const override { whole_->drop_cached(); }
  Vocabulary vocabulary() const override { return whole_->vocabulary(); }
  std::string description() const override { return whole_->description(); }
  std::vector<std::string> notes() const override { return {}; }

 private:
  const std::shared_ptr<const ModelSource> whole_;
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
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
    event.message.hello.emplace().model.spec = spec_digest(*source_);
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
    order.load = Load{plan, you, {}};
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
  void open_session(uint32_t epoch) {
    Message open = message(MessageKind::open, epoch);
    open.header.session = 1;
    give(kCoordinatorPeer, open);
  }

  // An encode of one id by the head, or of one row by a stage.
  bool serves(uint32_t epoch, bool head) {
    open_session(epoch);
    const Outbox out = head ? give(kCoordinatorPeer, ids(MessageKind::encode, epoch, 1))
                            : give(kHeadPeer, activations(MessageKind::encode, epoch, 1));
    return find(out, MessageKind::encode) != nullptr;
  }

  const std::shared_ptr<const ModelSource> source_ =
      open_model("synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5");
  std::optional<Worker> worker_;
};

TEST_F(WorkerTest, IsReadyWhenLoadedAndJoinedWhenItsNextIsUp) {
  const Outbox loaded = load(plan(1), kHeadPeer);
  const Message* ready = find(loaded, MessageKind::ready);
  ASSERT_TRUE(ready);
  EXPECT_EQ(ring_of(ready->header), (RingId{kIncarnation, 1}));
  EXPECT_GT(ready->ready->weight_bytes, 0u);
  EXPECT_TRUE(loaded.connects.empty());
  EXPECT_EQ(loaded.identity->self, kHeadPeer);
  const Outbox joining = give(kCoordinatorPeer, message(MessageKind::join, 1));
  ASSERT_EQ(joining.connects.size(), 1u);
  EXPECT_EQ(joining.connects[0].second, "test://0");
  EXPECT_FALSE(find(joining, MessageKind::joined));
  EXPECT_TRUE(find(up(stage_peer(0), kIncarnation, 1), MessageKind::joined));
  EXPECT_TRUE(give(kCoordinatorPeer, message(MessageKind::join, 1)).connects.empty());  // again
}

TEST_F(WorkerTest, TakesAnotherPartWithTheNextEpoch) {
  load(plan(1), kHeadPeer);
  give(kCoordinatorPeer, message(MessageKind::join, 1));
  up(stage_peer(0), kIncarnation, 1);
  up(stage_peer(1), kIncarnation, 1);
  EXPECT_TRUE(serves(1, true));
  Outbox again = load(plan(2), stage_peer(0));
  EXPECT_TRUE(find(again, MessageKind::ready));
  EXPECT_EQ(again.identity->self, stage_peer(0));
  std::sort(again.drops.begin(), again.drops.end());
  EXPECT_EQ(again.drops, (std::vector<PeerId>{stage_peer(0), stage_peer(1)}));
  EXPECT_TRUE(serves(2, false));
  EXPECT_FALSE(serves(1, true));
  const Outbox joining = give(kCoordinatorPeer, message(MessageKind::join, 2));
  ASSERT_EQ(joining.connects.size(), 1u);
  EXPECT_EQ(joining.connects[0].first, stage_peer(1));
  EXPECT_TRUE(find(up(stage_peer(1), kIncarnation, 2), MessageKind::joined));
}

TEST_F(WorkerTest, KeepsTheLinkOfANeighbourThatWasFaster) {
  load(plan(1), stage_peer(1));
  up(kHeadPeer, kIncarnation, 1);
  up(stage_peer(0), kIncarnation, 2);  // it has been loaded again already
  EXPECT_EQ(load(plan(2), stage_peer(1)).drops, std::vector<PeerId>{kHeadPeer});
}

TEST_F(WorkerTest, ALoadThatIsRefusedLeavesTheOldPartAtWork) {
  load(plan(1), kHeadPeer);
  uint32_t epoch = 2;
  const auto refused = [&](Plan bad, PeerId you, FaultKind kind) {
    bad.epoch = epoch++;
    const Outbox out = load(bad, you);
    const std::string text = fault(out, kind);
    EXPECT_EQ(find(out, MessageKind::fault)->header.epoch, bad.epoch);
    EXPECT_TRUE(out.drops.empty());
    EXPECT_FALSE(out.identity);
    return text;
  };
  Plan too_large = plan(1), other_device = plan(1), gap = plan(1), no_stages = plan(1);
  too_large.head.memory_bytes = 1000;
  other_device.head.device = "cuda:0";
  gap.stages[1].layers.begin++;
  no_stages.stages.clear();
  EXPECT_NE(refused(too_large, kHeadPeer, FaultKind::memory), "");
  EXPECT_NE(refused(other_device, kHeadPeer, FaultKind::refused), "");
  EXPECT_NE(refused(gap, kHeadPeer, FaultKind::input), "");
  EXPECT_NE(refused(no_stages, kHeadPeer, FaultKind::input), "");
  EXPECT_NE(refused(plan(1), kCoordinatorPeer, FaultKind::refused), "");
  EXPECT_NE(refused(plan(1), stage_peer(2), FaultKind::refused), "");
  EXPECT_NE(refused(plan(1), kUnassignedPeer, FaultKind::refused), "");
  EXPECT_TRUE(serves(1, true));
  EXPECT_TRUE(find(load(plan(epoch), stage_peer(1)), MessageKind::ready));
}

TEST_F(WorkerTest, ALoadThatFailsHalfWayLeavesTheWorkerEmptyAndReadyForTheNext) {
  worker_.emplace(std::make_shared<HalfAModel>(source_), WorkerOptions{});
  up(kCoordinatorPeer, kIncarnation, 1);
  load(plan(1), stage_peer(0));
  EXPECT_TRUE(serves(1, false));
  const Outbox failed = load(plan(2), stage_peer(1));
  EXPECT_EQ(fault(failed, FaultKind::world), "the disk is gone");
  EXPECT_EQ(find(failed, MessageKind::fault)->header.epoch, 2u);
  EXPECT_EQ(failed.identity->self, kUnassignedPeer);
  EXPECT_FALSE(serves(1, false));
  EXPECT_FALSE(serves(2, false));
  EXPECT_TRUE(find(load(plan(3), kHeadPeer), MessageKind::ready));
  EXPECT_TRUE(serves(3, true));
}

TEST_F(WorkerTest, ALoadWithoutAPlanIsRefused) {
  EXPECT_NE(refusal(give(kCoordinatorPeer, message(MessageKind::load, 1))), "");
}

TEST_F(WorkerTest, OldLoadsAndStrangersLoadsAreIgnored) {
  load(plan(2), kHeadPeer);
  EXPECT_TRUE(load(plan(2), stage_peer(0)).messages.empty());
  EXPECT_TRUE(load(plan(1), stage_peer(0)).messages.empty());
  Message order = message(MessageKind::load, 3);
  order.load = Load{plan(3), stage_peer(0), {}};
  EXPECT_TRUE(give(stage_peer(0), order).messages.empty());
  order.header.incarnation = 8;
  EXPECT_TRUE(give(kCoordinatorPeer, order).messages.empty());
  EXPECT_TRUE(serves(2, true));
}

TEST_F(WorkerTest, WithoutAPartNothingIsAnswered) {
  for (const MessageKind kind : {MessageKind::encode, MessageKind::denoise, MessageKind::open,
                                 MessageKind::close, MessageKind::truncate, MessageKind::join,
                                 MessageKind::cancel, MessageKind::ready, MessageKind::candidates})
    EXPECT_TRUE(give(kCoordinatorPeer, message(kind, 1)).messages.empty())
        << message_kind_name(kind);
}

TEST_F(WorkerTest, HellosWithoutANameAreRefused) {
  load(plan(1), kHeadPeer);
  Event nameless;
  nameless.kind = Event::Kind::up;
  nameless.peer = stage_peer(0);
  stamp(nameless.message.header, RingId{kIncarnation, 1});
  EXPECT_NE(refusal(worker_->handle(Time{}, nameless)), "");
  nameless.peer = kCoordinatorPeer;
  EXPECT_NE(refusal(worker_->handle(Time{}, nameless)), "");
}

TEST_F(WorkerTest, StrangersThatComeAndGoAreNoTrouble) {
  load(plan(1), kHeadPeer);
  EXPECT_TRUE(up(999, 8, 1).messages.empty());
  EXPECT_TRUE(down(999).messages.empty());
  EXPECT_TRUE(down(998).messages.empty());
  EXPECT_TRUE(up(stage_peer(0), kIncarnation, 1).messages.empty());
  EXPECT_NE(fault(down(stage_peer(0)), FaultKind::lost), "");
  EXPECT_TRUE(up(997, kIncarnation, 1).messages.empty());
  EXPECT_NE(fault(down(997), FaultKind::lost).find("peer 997"), std::string::npos);
}

TEST_F(WorkerTest, ANextThatCannotBeReachedIsAFault) {
  load(plan(1), kHeadPeer);
  give(kCoordinatorPeer, message(MessageKind::join, 1));
  EXPECT_NE(fault(down(stage_peer(0)), FaultKind::lost).find("stage 0"), std::string::npos);
}

TEST_F(WorkerTest, ANextOfAnotherRingIsAFault) {
  load(plan(1), kHeadPeer);
  give(kCoordinatorPeer, message(MessageKind::join, 1));
  EXPECT_NE(refusal(up(stage_peer(0), kIncarnation, 4)).find("another ring"), std::string::npos);
}

TEST_F(WorkerTest, MessagesOfOtherRingsAreStale) {
  load(plan(2), kHeadPeer);
  open_session(2);
  EXPECT_TRUE(give(kCoordinatorPeer, ids(MessageKind::encode, 1, 1)).messages.empty());
  Message other = ids(MessageKind::encode, 2, 1);
  other.header.incarnation = 8;
  EXPECT_TRUE(give(kCoordinatorPeer, other).messages.empty());
}

void set_id(Message& m, int32_t id) {
  m.payload = copy_payload(&id, sizeof(id));
}

TEST_F(WorkerTest, TheHeadRefusesWhatDoesNotFit) {
  load(plan(1), kHeadPeer);
  open_session(1);
  const auto damaged = [&](MessageKind kind, int rows, const std::function<void(Message&)>& damage,
                           PeerId from = kCoordinatorPeer) {
    Message m = from == kCoordinatorPeer ? ids(kind, 1, rows) : activations(kind, 1, rows);
    damage(m);
    const Outbox out = give(from, m);
    const Message* fault = find(out, MessageKind::fault);
    return fault && fault->header.session == m.header.session && fault->header.request == 9 &&
           fault->fault->kind == FaultKind::refused;
  };
  const auto nothing = [](Message&) {};
  EXPECT_TRUE(damaged(MessageKind::encode, 0, nothing));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) { m.header.rows = -1; }));
  EXPECT_TRUE(damaged(MessageKind::encode, 5, nothing));
  EXPECT_TRUE(damaged(MessageKind::denoise, kCanvas - 1, nothing));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) { m.header.session = 2; }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) { m.header.first_position = 1; }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) {
    m.header.first_position = m.header.kv_length_before = std::numeric_limits<int32_t>::max();
  }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) {
    m.header.first_position = m.header.kv_length_before = -1;
  }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1,
                      [](Message& m) { m.header.first_position = m.header.kv_length_before = 3; }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) { m.payload.bytes = 3; }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) { set_id(m, kVocab); }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) { set_id(m, -1); }));
  for (double temperature : {0.0, -1.0, 1e-300, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_TRUE(damaged(MessageKind::denoise, kCanvas, [&](Message& m) {
      m.header.temperature = temperature;
    })) << temperature;
  EXPECT_TRUE(damaged(MessageKind::denoise, kCanvas, [](Message& m) { m.header.key.step = 1; }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, nothing, stage_peer(1)));
  EXPECT_TRUE(damaged(MessageKind::denoise, kCanvas, nothing, stage_peer(1)));  // none was sent
}

TEST_F(WorkerTest, TheHeadTakesACanvasBackOnce) {
  load(plan(1), kHeadPeer);
  open_session(1);
  EXPECT_TRUE(
      find(give(kCoordinatorPeer, ids(MessageKind::denoise, 1, kCanvas)), MessageKind::denoise));
  Message back = activations(MessageKind::denoise, 1, kCanvas);
  Message other_dtype = back, short_payload = back, other_step = back;
  other_dtype.header.dtype = DType::q4_k;
  short_payload.payload.bytes -= 4;
  other_step.header.key.step = 1;
  for (const Message& wrong : {other_dtype, short_payload, other_step})
    EXPECT_NE(refusal(give(stage_peer(1), wrong)), "");
  EXPECT_TRUE(find(give(stage_peer(1), back), MessageKind::candidates));
  EXPECT_NE(refusal(give(stage_peer(1), back)), "");
  EXPECT_TRUE(find(give(kCoordinatorPeer, ids(MessageKind::denoise, 1, kCanvas)),
                   MessageKind::candidates));  // the coordinator may ask again
}

TEST_F(WorkerTest, AStageRefusesWhatDoesNotFit) {
  load(plan(1), stage_peer(0));
  open_session(1);
  const auto refused = [&](const std::function<void(Message&)>& damage) {
    Message m = activations(MessageKind::denoise, 1, kCanvas);
    damage(m);
    return !refusal(give(kHeadPeer, m)).empty();
  };
  EXPECT_TRUE(refused([](Message& m) { m.header.dtype = DType::bf16; }));
  EXPECT_TRUE(refused([](Message& m) { m.header.rows = kCanvas + 1; }));
  EXPECT_TRUE(refused([](Message& m) { m.payload = {}; }));
  EXPECT_TRUE(refused([](Message& m) { m.header.session = 2; }));
  EXPECT_TRUE(refused([](Message& m) { m.header.kv_length_before = 1; }));
  const Message chunk = activations(MessageKind::encode, 1, 4);
  EXPECT_TRUE(find(give(kHeadPeer, chunk), MessageKind::encode));
  EXPECT_NE(refusal(give(kHeadPeer, chunk)), "");  // twice
}

TEST_F(WorkerTest, SessionsAreOpenedOnceAndNotForked) {
  load(plan(1), kHeadPeer);
  Message open = message(MessageKind::open, 1);
  open.header.session = 1;
  EXPECT_TRUE(find(give(kCoordinatorPeer, open), MessageKind::open));
  EXPECT_NE(refusal(give(kCoordinatorPeer, open)), "");
  open.header.session = 2;
  EXPECT_NE(fault(give(kCoordinatorPeer, open), FaultKind::memory), "");
  open.header.fork_of = 1;
  EXPECT_NE(refusal(give(kCoordinatorPeer, open)), "");
}

TEST_F(WorkerTest, LeavesItsRingWhenTheCoordinatorGoes) {
  load(plan(1), kHeadPeer);
  up(stage_peer(1), kIncarnation, 1);
  const Outbox out = down(kCoordinatorPeer);
  EXPECT_EQ(out.drops, std::vector<PeerId>{stage_peer(1)});
  EXPECT_EQ(out.identity->self, kUnassignedPeer);
  up(kCoordinatorPeer, 8, 1);
  Message order = message(MessageKind::load, 1);
  order.header.incarnation = 8;
  order.load = Load{plan(1), stage_peer(1), {}};
  EXPECT_TRUE(find(give(kCoordinatorPeer, order), MessageKind::ready));
}

}  // namespace
}  // namespace potluck
