// A Worker through its life: loads, one after another and some that fail; links with neighbours,
// strangers and coordinators that come and go.
#include <algorithm>

#include "tests/shard/worker_party.h"

namespace potluck {
namespace {

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
  EXPECT_EQ(joining.connects[0].second.endpoint, "test://0");
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

// A model that counts how often its tensors are read.
class CountedModel final : public ModelSource {
 public:
  explicit CountedModel(std::shared_ptr<const ModelSource> whole) : whole_(std::move(whole)) {}
  const ModelSpec& spec() const override { return whole_->spec(); }
  const std::vector<TensorInfo>& tensors() const override { return whole_->tensors(); }
  TensorBytes map(const TensorInfo& tensor) const override {
    ++reads;
    return whole_->map(tensor);
  }
  void drop_cached() const override { whole_->drop_cached(); }
  Vocabulary vocabulary() const override { return whole_->vocabulary(); }
  std::string description() const override { return whole_->description(); }
  std::vector<std::string> notes() const override { return {}; }

  mutable int reads = 0;

 private:
  const std::shared_ptr<const ModelSource> whole_;
};

TEST_F(WorkerTest, APartThatIsTheSameInTheNextRingKeepsItsWeightsAndNoSession) {
  const auto counted = std::make_shared<CountedModel>(source_);
  WorkerOptions options;
  options.threads = 1;
  for (const PeerId part : {kHeadPeer, stage_peer(0)}) {
    worker_.emplace(counted, options);
    up(kCoordinatorPeer, kIncarnation, 1);
    load(plan(1), part);
    EXPECT_TRUE(serves(1, part == kHeadPeer));
    const int reads = counted->reads;
    const Outbox out = load(plan(2), part);
    ASSERT_TRUE(find(out, MessageKind::ready));
    EXPECT_GT(find(out, MessageKind::ready)->ready->weight_bytes, 0u);
    EXPECT_EQ(counted->reads, reads);
    EXPECT_TRUE(serves(2, part == kHeadPeer));
    Plan longer = plan(3);
    longer.ctx_size = 128;
    EXPECT_TRUE(find(load(longer, part), MessageKind::ready));
    EXPECT_GT(counted->reads, reads);
    EXPECT_TRUE(serves(3, part == kHeadPeer));
  }
}

TEST_F(WorkerTest, AWorkerThatRestsAsksToBeDoneWithoutAndTakesNoCoordinator) {
  const auto callers = [](const std::optional<Identity>& identity) {
    return identity.value().callers.value();
  };
  load(plan(1), kHeadPeer);
  worker_->rest(true);
  EXPECT_TRUE(worker_->idle_work());
  const Outbox asked = worker_->tick(Time{});
  ASSERT_TRUE(find(asked, MessageKind::drain));
  EXPECT_EQ(ring_of(find(asked, MessageKind::drain)->header), (RingId{kIncarnation, 1}));
  EXPECT_FALSE(worker_->idle_work());
  EXPECT_TRUE(serves(1, true));
  EXPECT_TRUE(callers(down(kCoordinatorPeer).identity).empty());
  worker_->rest(false);
  EXPECT_EQ(callers(worker_->tick(Time{}).identity), std::vector<PeerId>{kCoordinatorPeer});
}

TEST_F(WorkerTest, TakesCallsFromItsCoordinatorAndTheWorkerBeforeItAlone) {
  using Callers = std::vector<PeerId>;
  const auto callers = [&](uint32_t epoch, int stages, PeerId you) {
    load(plan(epoch, stages), you);
    const Identity me = worker_->identity();
    EXPECT_EQ((RingId{me.incarnation, me.epoch}), (RingId{kIncarnation, epoch}));
    return me.callers.value();
  };
  EXPECT_EQ(worker_->identity().callers, Callers{kCoordinatorPeer});
  const uint64_t words = worker_->identity().unread_bytes_max;
  EXPECT_EQ(words, 1u << 20);
  EXPECT_EQ(callers(1, 2, kHeadPeer), (Callers{kCoordinatorPeer, stage_peer(1)}));
  EXPECT_EQ(callers(2, 2, stage_peer(0)), (Callers{kCoordinatorPeer, kHeadPeer}));
  EXPECT_EQ(callers(3, 2, stage_peer(1)), (Callers{kCoordinatorPeer, stage_peer(0)}));
  EXPECT_EQ(callers(4, 1, kHeadPeer), Callers{kCoordinatorPeer});  // it dials the lone stage
  EXPECT_EQ(callers(5, 1, stage_peer(0)), (Callers{kCoordinatorPeer, kHeadPeer}));
  EXPECT_EQ(worker_->identity().unread_bytes_max, words + 4u * 4 * kCanvas * kHidden * 4);
  give(kCoordinatorPeer, message(MessageKind::shutdown, 5));
  EXPECT_EQ(worker_->identity().unread_bytes_max, words);
  EXPECT_EQ(worker_->identity().callers, Callers{kCoordinatorPeer});
  EXPECT_EQ(worker_->identity().incarnation, 0u);
  EXPECT_EQ(worker_->identity().hello.name, "");
}

TEST_F(WorkerTest, ACoordinatorThatLoadsNothingForTenSecondsLosesItsPlace) {
  const auto drops_after = [&](double seconds) {
    return worker_->tick(Time{} + from_seconds(seconds)).drops;
  };
  EXPECT_TRUE(drops_after(10).empty());
  give(kCoordinatorPeer, message(MessageKind::cancel, 0));  // a word keeps no place
  EXPECT_EQ(drops_after(10.1), std::vector<PeerId>{kCoordinatorPeer});
  EXPECT_TRUE(drops_after(1000).empty());  // nobody is there
  up(kCoordinatorPeer, kIncarnation, 1);
  load(plan(1), kHeadPeer);
  EXPECT_TRUE(drops_after(1000).empty());
  give(kCoordinatorPeer, message(MessageKind::shutdown, 1));
  EXPECT_TRUE(drops_after(10).empty());
  EXPECT_EQ(drops_after(10.1), std::vector<PeerId>{kCoordinatorPeer});
}

TEST_F(WorkerTest, AnotherModelIsRefused) {
  Message order = message(MessageKind::load, 1);
  order.load = Load{plan(1), kHeadPeer, {0x0BAD, 0, {}}};
  const std::string text = refusal(give(kCoordinatorPeer, order));
  EXPECT_NE(text.find("my model"), std::string::npos) << text;
  EXPECT_NE(text.find("0bad"), std::string::npos) << text;
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
  order.load = Load{plan(3), stage_peer(0), model_};
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

TEST_F(WorkerTest, AHelloOfACoordinatorWithoutANameIsRefused) {
  Event nameless;
  nameless.kind = Event::Kind::up;
  nameless.peer = kCoordinatorPeer;
  EXPECT_NE(refusal(worker_->handle(Time{}, nameless)), "");
}

TEST_F(WorkerTest, StrangersThatComeAndGoAreNoTrouble) {
  load(plan(1), kHeadPeer);
  for (const PeerId stranger : {PeerId{999}, PeerId{200}, stage_peer(0), kHeadPeer}) {
    EXPECT_TRUE(up(stranger, kIncarnation, 1).messages.empty()) << stranger;
    EXPECT_TRUE(down(stranger).messages.empty()) << stranger;
  }
  EXPECT_TRUE(up(stage_peer(1), kIncarnation, 4).messages.empty());  // for another ring
  EXPECT_TRUE(down(stage_peer(1)).messages.empty());
  EXPECT_TRUE(up(stage_peer(1), kIncarnation, 1).messages.empty());
  EXPECT_EQ(fault(down(stage_peer(1)), FaultKind::lost), "lost stage 1: closed by peer");
  EXPECT_TRUE(down(stage_peer(1)).messages.empty());
}

// Why is for this machine to know: a plan could name any port.
TEST_F(WorkerTest, ANextThatIsNotReachedIsNamedWithoutAReason) {
  load(plan(1), kHeadPeer);
  give(kCoordinatorPeer, message(MessageKind::join, 1));
  EXPECT_EQ(fault(down(stage_peer(0)), FaultKind::lost), "stage 0 was not reached at test://0");
}

TEST_F(WorkerTest, ANextThatGoesIsLost) {
  load(plan(1), kHeadPeer);
  give(kCoordinatorPeer, message(MessageKind::join, 1));
  up(stage_peer(0), 0, 0);  // an answer names no ring
  EXPECT_EQ(fault(down(stage_peer(0)), FaultKind::lost), "lost stage 0: closed by peer");
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
  order.load = Load{plan(1), stage_peer(1), model_};
  EXPECT_TRUE(find(give(kCoordinatorPeer, order), MessageKind::ready));
}

TEST_F(WorkerTest, WhateverALoadThrowsIsAFault) {
  worker_.emplace(std::make_shared<HalfAModel>(source_, HalfAModel::Ends::without_memory),
                  WorkerOptions{});
  up(kCoordinatorPeer, kIncarnation, 1);
  EXPECT_EQ(fault(load(plan(1), stage_peer(1)), FaultKind::memory), "no memory is left");
  worker_.emplace(std::make_shared<HalfAModel>(source_, HalfAModel::Ends::oddly), WorkerOptions{});
  up(kCoordinatorPeer, kIncarnation, 1);
  EXPECT_EQ(fault(load(plan(1), stage_peer(1)), FaultKind::world), "an odd end");
  EXPECT_TRUE(find(load(plan(2), kHeadPeer), MessageKind::ready));
}

TEST_F(WorkerTest, ALoadThatIsRefusedGivesNoName) {
  Plan bad = plan(1);
  bad.stages[0].name = "evil";
  bad.stages[0].memory_bytes = 1000;
  EXPECT_NE(fault(load(bad, stage_peer(0)), FaultKind::memory), "");
  EXPECT_EQ(worker_->identity().hello.name, "");
}

}  // namespace
}  // namespace potluck
