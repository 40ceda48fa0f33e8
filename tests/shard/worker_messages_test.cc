// A loaded Worker and the messages that the wire may bring it: stale, twice there, wrong, or from
// whom they should not come.
#include <algorithm>
#include <functional>
#include <limits>

#include "tests/shard/worker_party.h"

namespace potluck {
namespace {

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
  EXPECT_TRUE(
      damaged(MessageKind::encode, 1, [](Message& m) { m.header.hops.resize(4, Hop{kHeadPeer}); }));
  EXPECT_TRUE(damaged(MessageKind::encode, 1, [](Message& m) { m.header.hops = {{77}}; }));
  EXPECT_TRUE(damaged(MessageKind::denoise, kCanvas, nothing, stage_peer(1)));  // none was sent
}

// Whoever says what is not for it to say loses its link.
TEST_F(WorkerTest, WhoMaySendWhatFollowsFromThePlan) {
  using Kind = MessageKind;
  const std::vector<Kind> all = {Kind::encode, Kind::denoise, Kind::open, Kind::close};
  struct Case {
    PeerId you, from;
    std::vector<MessageKind> may;
  };
  const PeerId first = stage_peer(0), last = stage_peer(1);
  const Case cases[] = {
      {kHeadPeer, kCoordinatorPeer, all},
      {kHeadPeer, last, {Kind::denoise}},
      {kHeadPeer, first, {}},
      {first, kHeadPeer, all},
      {first, kCoordinatorPeer, {}},
      {first, last, {}},
      {last, first, all},
      {last, kHeadPeer, {}},
      {last, 77, {}},
  };
  uint32_t epoch = 0;
  for (const Case& each : cases)
    for (const Kind kind : all) {
      up(kCoordinatorPeer, kIncarnation, 1);
      load(plan(++epoch), each.you);
      const Outbox out = give(each.from, message(kind, epoch));
      const bool may = std::count(each.may.begin(), each.may.end(), kind) != 0;
      EXPECT_EQ(out.drops, may ? std::vector<PeerId>{} : std::vector<PeerId>{each.from})
          << "peer " << each.from << " sends " << message_kind_name(kind) << " to " << each.you;
    }
}

TEST_F(WorkerTest, MoreThanThePlanLetsWaitEndsTheLink) {
  load(plan(1), stage_peer(0));
  up(kHeadPeer, kIncarnation, 1);
  open_session(1, kHeadPeer);
  Event event;
  event.peer = kHeadPeer;
  event.message = activations(MessageKind::encode, 1, 1);
  event.message.header.source = kHeadPeer;
  const int most = 4 * plan(1).slots;
  for (int i = 0; i < most; ++i) EXPECT_TRUE(worker_->handle(Time{}, event).drops.empty()) << i;
  const Outbox out = worker_->handle(Time{}, event);
  EXPECT_EQ(out.drops, std::vector<PeerId>{kHeadPeer});
  EXPECT_NE(fault(out, FaultKind::lost).find("lost head"), std::string::npos);
}

TEST_F(WorkerTest, APayloadThatNoWorkerSendsEndsTheLink) {
  load(plan(1), stage_peer(0));
  up(kHeadPeer, kIncarnation, 1);
  const size_t most = kCanvas * kHidden * 4;
  EXPECT_TRUE(give(kHeadPeer, with_payload(MessageKind::denoise, 1, 8, most)).drops.empty());
  EXPECT_EQ(give(kHeadPeer, with_payload(MessageKind::denoise, 1, 8, most + 1)).drops,
            std::vector<PeerId>{kHeadPeer});
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
  open_session(1, kHeadPeer);
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

// The window is 8 and a pass has 8 rows, so sliding layers keep 15 positions.
TEST_F(WorkerTest, ASessionGoesBackAsFarAsItsKeysReach) {
  for (const PeerId me : {kHeadPeer, stage_peer(0)}) {
    const bool is_stage = me != kHeadPeer;
    const PeerId previous = is_stage ? kHeadPeer : kCoordinatorPeer;
    start();
    load(plan(1), me);
    open_session(1, previous);
    const auto encode = [&](int at) {
      Message m =
          is_stage ? activations(MessageKind::encode, 1, 4) : ids(MessageKind::encode, 1, 4);
      m.header.first_position = m.header.kv_length_before = at;
      return give(previous, m);
    };
    const auto cut = [&](int length, uint64_t session = 1) {
      Message m = message(MessageKind::truncate, 1);
      m.header.session = session;
      m.header.kv_length_before = length;
      return give(previous, m);
    };
    EXPECT_NE(refusal(cut(0, 2)), "");  // is not open
    for (int at : {0, 4, 8, 12}) EXPECT_TRUE(find(encode(at), MessageKind::encode));
    EXPECT_NE(refusal(cut(17)), "");
    EXPECT_NE(refusal(cut(-1)), "");
    if (is_stage) {
      EXPECT_NE(refusal(cut(7)), "");
    }
    EXPECT_TRUE(find(cut(8), MessageKind::truncate)) << "goes on round the ring";
    EXPECT_NE(refusal(encode(16)), "");
    EXPECT_TRUE(find(encode(8), MessageKind::encode));
    if (is_stage) {
      EXPECT_NE(refusal(cut(7)), "") << "what was overwritten stays so";
    }
    EXPECT_TRUE(find(cut(12), MessageKind::truncate));
  }
}

}  // namespace
}  // namespace potluck
