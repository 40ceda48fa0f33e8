// The contract of transport.h that every transport keeps, however its links come about.
#include "tests/contract/transport_contract.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "tests/contract/transport_kinds.h"

namespace potluck {
namespace {

constexpr PeerId kHead = kHeadPeer, kStage = stage_peer(0), kOther = stage_peer(1);

TEST_P(TransportContract, ComesUpWithTheOtherSidesHello) {
  auto head = party(kHead, "head"), stage = party(kStage, "stage 0");
  stage->connect(kHead, at(listen(*head)));
  const Event at_head = expect_up(*head, kStage), at_stage = expect_up(*stage, kHead);
  ASSERT_TRUE(at_head.message.hello && at_stage.message.hello);
  EXPECT_EQ(at_head.message.hello->name, "stage 0");
  EXPECT_EQ(at_stage.message.hello->name, "head");
  EXPECT_EQ(at_head.message.header.incarnation, 7u);
  EXPECT_EQ(at_head.message.header.epoch, 3u);
}

TEST_P(TransportContract, DeliversInOrder) {
  Pair pair = linked_pair();
  for (uint64_t i = 0; i < 500; ++i) pair.stage->send(message(kHead, i));
  for (uint64_t i = 0; i < 500; ++i)
    ASSERT_EQ(expect_message(*pair.head, kStage).header.session, i);
}

TEST_P(TransportContract, DeliversHeadersWhole) {
  Pair pair = linked_pair();
  Message sent = message(kStage, 11, bytes(96));
  sent.header.kv_length_before = 17;
  sent.header.rows = 3;
  sent.header.dtype = DType::bf16;
  sent.header.temperature = 0.625;
  sent.header.key.seed = ~uint64_t{0};
  sent.header.hops = {{kStage, 1, 2, 3, 5}};
  pair.head->send(sent);
  const Header h = expect_message(*pair.stage, kHead).header;
  EXPECT_EQ(h.kv_length_before, 17);
  EXPECT_EQ(h.rows, 3);
  EXPECT_EQ(h.dtype, DType::bf16);
  EXPECT_EQ(h.temperature, 0.625);
  EXPECT_EQ(h.key.seed, ~uint64_t{0});
  ASSERT_EQ(h.hops.size(), 1u);
  EXPECT_EQ(h.hops[0].header_bytes, 5u);
  EXPECT_EQ(h.source, kHead);
  EXPECT_EQ(h.protocol, kProtocolVersion);
}

TEST_P(TransportContract, DeliversPayloadsOfEverySizeBothWays) {
  Pair pair = linked_pair();
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{3000}, size_t{1441792}, size_t{20000000}}) {
    SCOPED_TRACE(size);
    const std::vector<std::byte> sent = bytes(size);
    pair.stage->send(message(kHead, size, sent));
    Message got = expect_message(*pair.head, kStage);
    ASSERT_EQ(got.payload.bytes, size);
    EXPECT_TRUE(std::equal(sent.begin(), sent.end(), got.payload.data));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(got.payload.data) % 8, 0u);
    const bool on_host = got.payload.memory == MemoryKind::host;
    EXPECT_EQ(got.header.digest, on_host ? digest_bytes(sent.data(), size) : 0);
    got.header.destination = kStage;
    pair.head->send(std::move(got));
    EXPECT_EQ(expect_message(*pair.stage, kHead).payload.bytes, size);
  }
}

TEST_P(TransportContract, DeliversTheLargestPayload) {
  Pair pair = linked_pair();
  Message large = message(kStage, 1);
  large.payload = own_payload(std::vector<std::byte>(kPayloadBytesMax));
  pair.head->send(std::move(large));
  EXPECT_EQ(expect_message(*pair.stage, kHead).payload.bytes, kPayloadBytesMax);
}

TEST_P(TransportContract, RefusesWhatPassesALimitAndGoesOn) {
  const auto expect_refusal = [](const std::function<void()>& act, const char* field) {
    try {
      act();
      ADD_FAILURE() << field << " has no limit";
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      EXPECT_THAT(fault.text(), testing::HasSubstr(field));
    }
  };
  Pair pair = linked_pair();
  Message large = message(kStage, 1), far = message(kStage, 1), chatty = message(kStage, 1);
  large.payload.bytes = kPayloadBytesMax + 1;  // it is not read
  far.header.hops.resize(kHopsMax + 1);
  chatty.header.kind = MessageKind::ready;
  chatty.ready.emplace().endpoint = std::string(kTextBytesMax + 1, 'x');
  expect_refusal([&] { pair.head->send(large); }, "payload has length");
  expect_refusal([&] { pair.head->send(far); }, "hops has length");
  expect_refusal([&] { pair.head->send(chatty); }, "ready.endpoint has length");
  Identity identity;
  identity.hello.name = std::string(kTextBytesMax + 1, 'x');
  expect_refusal([&] { pair.head->set_identity(identity); }, "hello.name has length");
  pair.head->send(message(kStage, 2));
  EXPECT_EQ(expect_message(*pair.stage, kHead).header.session, 2u);
}

TEST_P(TransportContract, APayloadWithoutAnOwnerIsTheSendersAgainAfterSend) {
  Pair pair = linked_pair();
  const std::vector<std::byte> sent = bytes(100000);
  std::vector<std::byte> buffer = sent;
  Message borrowed = message(kStage, 1);
  borrowed.payload = Payload{};
  borrowed.payload.data = buffer.data();
  borrowed.payload.bytes = buffer.size();
  pair.head->send(std::move(borrowed));
  std::fill(buffer.begin(), buffer.end(), std::byte{0xEE});
  const Message got = expect_message(*pair.stage, kHead);
  EXPECT_TRUE(std::equal(sent.begin(), sent.end(), got.payload.data));
}

TEST_P(TransportContract, DeliversWhatWasSentBeforeItWasUp) {
  auto head = party(kHead, "head"), stage = party(kStage, "stage 0");
  stage->connect(kHead, at(listen(*head)));
  stage->send(message(kHead, 1));
  expect_up(*head, kStage);
  EXPECT_EQ(expect_message(*head, kStage).header.session, 1u);
}

TEST_P(TransportContract, ReportsDownWhenTheOtherSideIsDestroyed) {
  Pair pair = linked_pair();
  pair.stage->send(message(kHead, 1, bytes(1441792)));
  pair.stage.reset();
  EXPECT_EQ(expect_message(*pair.head, kStage).payload.bytes, 1441792u);
  EXPECT_EQ(expect_down(*pair.head, kStage).reason, "closed by peer");
  pair.head->send(message(kStage, 2));  // to nobody: no crash, no second report
  expect_silence(*pair.head);
}

TEST_P(TransportContract, ReportsDownToTheDialerToo) {
  Pair pair = linked_pair();
  pair.head->send(message(kStage, 1, bytes(1441792)));
  pair.head.reset();
  EXPECT_EQ(expect_message(*pair.stage, kHead).payload.bytes, 1441792u);
  EXPECT_EQ(expect_down(*pair.stage, kHead).reason, "closed by peer");
}

TEST_P(TransportContract, DropFlushesAndIsNotReportedToWhoDrops) {
  for (const bool dialer_drops : {true, false}) {
    SCOPED_TRACE(dialer_drops);
    Pair pair = linked_pair();
    Transport& dropping = dialer_drops ? *pair.stage : *pair.head;
    Transport& other = dialer_drops ? *pair.head : *pair.stage;
    const PeerId to = dialer_drops ? kHead : kStage, from = dialer_drops ? kStage : kHead;
    for (uint64_t i = 0; i < 20; ++i) dropping.send(message(to, i, bytes(1441792)));
    dropping.drop(to);
    for (uint64_t i = 0; i < 20; ++i) ASSERT_EQ(expect_message(other, from).header.session, i);
    EXPECT_EQ(expect_down(other, from).reason, "closed by peer");
    expect_silence(dropping);
  }
}

TEST_P(TransportContract, DeliversNothingOfADroppedLink) {
  Pair pair = linked_pair();
  for (uint64_t i = 0; i < 50; ++i) pair.stage->send(message(kHead, i, bytes(1000)));
  ASSERT_EQ(expect_message(*pair.head, kStage).header.session, 0u);
  pair.head->drop(kStage);  // 49 are queued or on the way
  expect_down(*pair.stage, kHead);
  expect_silence(*pair.head);
  pair.head->drop(kStage);  // again: nothing
}

TEST_P(TransportContract, ServesManyPeersAtOnce) {
  auto head = party(kHead, "head");
  const std::string endpoint = listen(*head);
  std::vector<std::unique_ptr<Transport>> stages;
  for (int i = 0; i < 4; ++i) {
    stages.push_back(party(stage_peer(i), "stage " + std::to_string(i)));
    stages.back()->connect(kHead, at(endpoint));
    expect_up(*stages.back(), kHead);
    expect_up(*head, stage_peer(i));
  }
  for (int i = 0; i < 4; ++i) head->send(message(stage_peer(i), static_cast<uint64_t>(i)));
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(expect_message(*stages[static_cast<size_t>(i)], kHead).header.session,
              static_cast<uint64_t>(i));
  stages[3].reset();
  expect_down(*head, stage_peer(3));
  stages[2]->send(message(kHead, 44));
  EXPECT_EQ(expect_message(*head, stage_peer(2)).header.session, 44u);
}

TEST_P(TransportContract, WakesAWaitThatComesLater) {
  auto head = party(kHead, "head");
  head->wake();
  EXPECT_EQ(next(*head).value().kind, Event::Kind::woken);
  expect_silence(*head);
}

TEST_P(TransportContract, WakesFromAnotherThread) {
  if (!GetParam().real_time) GTEST_SKIP() << "time that is made up does not wait for a thread";
  auto head = party(kHead, "head");
  std::thread other([&] { head->wake(); });
  const std::optional<Event> event = next(*head);
  other.join();
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->kind, Event::Kind::woken);
  expect_silence(*head);
}

Transport* to_wake = nullptr;

TEST_P(TransportContract, WakesFromASignalHandler) {
  if (!GetParam().real_time) GTEST_SKIP() << "time that is made up does not wait for a signal";
  auto head = party(kHead, "head");
  to_wake = head.get();
  struct sigaction action {};
  action.sa_handler = [](int) { to_wake->wake(); };
  sigaction(SIGUSR1, &action, nullptr);
  const pthread_t waiter = pthread_self();
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    pthread_kill(waiter, SIGUSR1);
  });
  const std::optional<Event> event = next(*head);
  other.join();
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->kind, Event::Kind::woken);
}

TEST_P(TransportContract, WaitsNoLongerThanItsDeadline) {
  auto head = party(kHead, "head");
  EXPECT_FALSE(head->wait(now() - from_seconds(1)).has_value());
  EXPECT_FALSE(head->wait(now() + from_seconds(0.02)).has_value());
}

TEST_P(TransportContract, SendingPastTheQueueIsAFault) {
  Pair pair = linked_pair();
  for (int i = 0; i < kLinkQueueMax; ++i)
    pair.stage->send(message(kHead, static_cast<uint64_t>(i)));
  try {
    pair.stage->send(message(kHead, 0));
    FAIL() << "no limit";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::world);
    EXPECT_THAT(fault.text(), testing::HasSubstr("peer 1"));
  }
  for (int i = 0; i < kLinkQueueMax; ++i)  // what was accepted arrives
    ASSERT_EQ(expect_message(*pair.head, kStage).header.session, static_cast<uint64_t>(i));
}

TEST_P(TransportContract, AQueueThatIsReadNeverFills) {
  Pair pair = linked_pair();
  constexpr uint64_t kMany = 5 * kLinkQueueMax;
  for (uint64_t sent = 0; sent < kMany; ++sent) {
    pair.stage->send(message(kHead, sent));
    if (sent % 100) continue;
    for (uint64_t behind = sent ? 100 : 1; behind > 0; --behind)
      ASSERT_EQ(expect_message(*pair.head, kStage).header.kind, MessageKind::denoise);
  }
}

TEST_P(TransportContract, SendingToAPeerNeverConnectedIsAFault) {
  auto head = party(kHead, "head");
  try {
    head->send(message(kOther, 1));
    FAIL() << "sent to nobody";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::lost);
    EXPECT_THAT(fault.text(), testing::HasSubstr("peer 3"));
  }
}

INSTANTIATE_TEST_SUITE_P(Every, TransportContract, testing::ValuesIn(transport_kinds()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace potluck
