// The contract of transport.h on transports that dial and listen while they run: who may call whom,
// as whom, and what becomes of it.
#include <gmock/gmock.h>

#include <thread>

#include "tests/contract/transport_contract.h"
#include "tests/contract/transport_kinds.h"

namespace potluck {
namespace {

class DialingContract : public TransportContract {};

constexpr PeerId kHead = kHeadPeer, kStage = stage_peer(0), kOther = stage_peer(1);

TEST_P(DialingContract, KnowsAWorkerByTheIdThatItsDialerGivesIt) {
  auto worker = party(kUnassignedPeer, "worker"), coordinator = party(kCoordinatorPeer, "c");
  coordinator->connect(kStage, at(listen(*worker)));
  expect_up(*worker, kCoordinatorPeer);
  expect_up(*coordinator, kStage);
  worker->send(message(kCoordinatorPeer, 5));
  EXPECT_EQ(expect_message(*coordinator, kStage).header.source, kStage);
}

TEST_P(DialingContract, ReconnectsAfresh) {
  Pair pair = linked_pair();
  for (uint64_t i = 0; i < 50; ++i) pair.stage->send(message(kHead, i, bytes(1000)));
  pair.stage->drop(kHead);
  pair.stage->connect(kHead, at(pair.endpoint));
  pair.stage->send(message(kHead, 1000));
  expect_up(*pair.stage, kHead);
  for (uint64_t i = 0; i < 50; ++i) ASSERT_EQ(expect_message(*pair.head, kStage).header.session, i);
  expect_down(*pair.head, kStage);
  expect_up(*pair.head, kStage);
  EXPECT_EQ(expect_message(*pair.head, kStage).header.session, 1000u);
}

TEST_P(DialingContract, LosesNothingIntoTheNextLinkOfAPeer) {
  Pair pair = linked_pair();
  pair.stage.reset();
  auto second = party(kStage, "second stage 0");
  second->connect(kHead, at(pair.endpoint));
  expect_up(*second, kHead);
  // The head has not read that the first is gone: what it sends now was for the first.
  pair.head->send(message(kStage, 1));
  expect_down(*pair.head, kStage);
  expect_up(*pair.head, kStage);
  pair.head->send(message(kStage, 2));
  EXPECT_EQ(expect_message(*second, kHead).header.session, 2u);
}

TEST_P(DialingContract, RefusesASecondClaimToAPeerThatIsUp) {
  Pair pair = linked_pair();
  auto thief = party(kStage, "thief");
  thief->connect(kHead, at(pair.endpoint));
  EXPECT_THAT(expect_down(*thief, kHead).reason, testing::HasSubstr("already"));
  pair.stage->send(message(kHead, 4));
  EXPECT_EQ(expect_message(*pair.head, kStage).header.session, 4u);
  pair.head->send(message(kStage, 5));
  EXPECT_EQ(expect_message(*pair.stage, kHead).header.session, 5u);
  pair.stage->drop(kHead);
  expect_down(*pair.head, kStage);
  thief->connect(kHead, at(pair.endpoint));  // now it is free
  expect_up(*thief, kHead);
  expect_up(*pair.head, kStage);
}

TEST_P(DialingContract, RefusesAClaimToItsOwnId) {
  auto head = party(kHead, "head"), impostor = party(kHead, "impostor");
  impostor->connect(kStage, at(listen(*head)));
  EXPECT_THAT(expect_down(*impostor, kStage).reason, testing::HasSubstr("itself"));
  expect_silence(*head);
}

TEST_P(DialingContract, ConnectingToAPeerThatCalledFirstGivesItsLink) {
  Pair pair = linked_pair();
  pair.head->connect(kStage, "anywhere");
  EXPECT_EQ(expect_up(*pair.head, kStage).message.hello->name, "stage 0");
  pair.head->send(message(kStage, 1));
  EXPECT_EQ(expect_message(*pair.stage, kHead).header.session, 1u);
  pair.stage->send(message(kHead, 2));
  EXPECT_EQ(expect_message(*pair.head, kStage).header.session, 2u);
}

// A ring of one stage: each dials the other.
TEST_P(DialingContract, TwoThatDialEachOtherGetOneLink) {
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE(round);
    auto head = party(kHead, "head"), stage = party(kStage, "stage 0");
    const std::string head_at = listen(*head), stage_at = listen(*stage);
    std::thread other([&, stage = stage.get()] {
      if (round % 2) std::this_thread::sleep_for(std::chrono::microseconds(200 * round));
      stage->connect(kHead, at(head_at));
      stage->send(message(kHead, 1));
    });
    head->connect(kStage, at(stage_at));
    head->send(message(kStage, 2));
    other.join();
    const auto first_message = [&](Transport& t, PeerId from) {
      std::optional<Event> event = next(t);
      while (event && event->kind == Event::Kind::up) event = next(t);
      EXPECT_TRUE(event && event->kind == Event::Kind::message && event->peer == from)
          << (event ? event->reason : "nothing came");
      return event ? event->message.header.session : 0;
    };
    EXPECT_EQ(first_message(*head, kStage), 1u);
    EXPECT_EQ(first_message(*stage, kHead), 2u);
  }
}

TEST_P(DialingContract, NobodyListeningIsReportedWithTheEndpoint) {
  std::string endpoint;
  {
    auto gone = party(kHead, "head");
    endpoint = listen(*gone);
  }
  auto stage = party(kStage, "stage 0");
  stage->connect(kHead, at(endpoint));
  EXPECT_THAT(expect_down(*stage, kHead).reason, testing::HasSubstr(endpoint));
  expect_silence(*stage);
}

TEST_P(DialingContract, AnEndpointInUseIsNamed) {
  auto head = party(kHead, "head"), other = party(kOther, "other");
  const std::string endpoint = listen(*head);
  try {
    other->listen(endpoint);
    FAIL() << "two listen at " << endpoint;
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::world);
    EXPECT_THAT(fault.text(), testing::HasSubstr(endpoint));
  }
  auto stage = party(kStage, "stage 0");  // the first still listens
  stage->connect(kHead, at(endpoint));
  expect_up(*head, kStage);
}

TEST_P(DialingContract, AnEndpointOfAnotherKindIsBadInput) {
  auto head = party(kHead, "head");
  for (const std::string endpoint : {"carrier-pigeon://coop", "", "7000"}) {
    try {
      head->listen(endpoint);
      FAIL() << endpoint;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      EXPECT_THAT(fault.text(), testing::HasSubstr(endpoint));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, DialingContract, testing::ValuesIn(dialing_kinds()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace potluck
