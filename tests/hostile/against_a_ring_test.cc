// Strangers at the ports of a ring that works: nothing that they say changes its answers, and
// nothing is said to them of the ring.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/hostile/honest_ring.h"
#include "tests/hostile/hostile_peer.h"

namespace potluck {
namespace {

// Who knows the ports, and even what the ring is called.
struct Stranger {
  std::string head, stage;  // their endpoints; the stage is the first of two
  RingId ring;
  Digest model;

  // Says hello as this peer and then that; the answer must be a goodbye that names no ring.
  void turned_away(const std::string& endpoint, PeerId as, RingId for_ring,
                   const std::vector<Message>& words) const {
    HostilePeer peer(endpoint);
    peer.hello(as, for_ring);
    for (const Message& each : words) peer.say(each);
    const std::optional<Message> answer = peer.raw().receive_message();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header.kind, MessageKind::goodbye);
    EXPECT_EQ(ring_of(answer->header), RingId{});
    EXPECT_EQ(answer->header.source, kUnassignedPeer);
    const std::string told = answer->fault->what + answer->fault->where;
    for (const char* part : {"head", "stage", "worker 1"})
      EXPECT_THAT(told, testing::Not(testing::HasSubstr(part)));
  }
};

struct AgainstARing {
  const char* name;
  std::function<void(const Stranger&)> strike;
};

void PrintTo(const AgainstARing& attack, std::ostream* out) {
  *out << attack.name;
}

class RingUnderAttack : public testing::TestWithParam<AgainstARing> {
 protected:
  const std::shared_ptr<const ModelSource> source_ = open_model(kAttackedModel);
  HonestWorkers workers_{source_, 3};
};

TEST_P(RingUnderAttack, AnswersAsBefore) {
  HonestCoordinator coordinator(source_, workers_.plan());
  const std::vector<int32_t> expected = coordinator.ask();
  ASSERT_FALSE(expected.empty());
  GetParam().strike(
      {workers_.endpoint(0), workers_.endpoint(1), coordinator.ring(), spec_digest(*source_)});
  EXPECT_EQ(coordinator.ask(), expected);
  EXPECT_FALSE(coordinator.fault()) << coordinator.fault()->what();
}

// The stage before a coordinator has come: whoever calls as a neighbour is not the neighbour.
TEST(IdleWorker, TakesNoNeighbourBeforeItIsLoaded) {
  const std::shared_ptr<const ModelSource> source = open_model(kAttackedModel);
  HonestWorkers workers(source, 3);
  const Stranger stranger{workers.endpoint(0), workers.endpoint(1), {}, spec_digest(*source)};
  for (const PeerId as : {kHeadPeer, stage_peer(0), stage_peer(1), PeerId{200}})
    for (const std::string& endpoint : {stranger.head, stranger.stage})
      stranger.turned_away(endpoint, as, {7, 1}, {});
  HonestCoordinator coordinator(source, workers.plan());
  EXPECT_FALSE(coordinator.ask().empty());
}

TEST(IdleWorker, TellsWhoCoordinatesItNothingOfAnyRing) {
  const std::shared_ptr<const ModelSource> source = open_model(kAttackedModel);
  HonestWorkers workers(source, 2);
  HostilePeer peer(workers.endpoint(0));
  peer.hello(kCoordinatorPeer, {7, 0});
  const std::optional<Message> answer = peer.hear(MessageKind::hello);
  ASSERT_TRUE(answer);
  EXPECT_EQ(ring_of(answer->header), RingId{});
  EXPECT_EQ(answer->hello->name, "worker 0");
}

// As whom, and with what to say; for the ring itself, or for another of its coordinator.
std::function<void(const Stranger&)> says(PeerId as, std::vector<Message> words = {}) {
  return [as, words = std::move(words)](const Stranger& s) {
    for (const std::string& endpoint : {s.head, s.stage}) {
      std::vector<Message> stamped = words;
      for (Message& each : stamped) stamp(each.header, s.ring);
      const RingId next{s.ring.incarnation, s.ring.epoch + 1};
      for (const RingId ring : {RingId{}, s.ring, next}) s.turned_away(endpoint, as, ring, stamped);
    }
  };
}

std::vector<Message> words(MessageKind kind, int count = 1) {
  return std::vector<Message>(static_cast<size_t>(count), word(kind, {}));
}

const AgainstARing kAttacks[] = {
    {"a_hello_as_peer_200_and_a_hang_up", says(200)},
    {"a_hello_as_the_head", says(kHeadPeer)},
    {"a_hello_as_the_first_stage", says(stage_peer(0))},
    {"a_hello_as_the_last_stage", says(stage_peer(1))},
    {"a_hello_as_nobody", says(kUnassignedPeer)},
    {"a_second_coordinator", says(kCoordinatorPeer)},
    {"a_second_coordinator_that_ends_it", says(kCoordinatorPeer, words(MessageKind::shutdown))},
    {"five_opens", says(kHeadPeer, words(MessageKind::open, 5))},
    {"a_close", says(kHeadPeer, words(MessageKind::close))},
    {"a_cancel", says(kCoordinatorPeer, words(MessageKind::cancel))},
    {"a_truncate", says(kCoordinatorPeer, words(MessageKind::truncate))},
    {"a_canvas", says(kHeadPeer, words(MessageKind::denoise))},
    {"a_canvas_of_the_last_stage", says(stage_peer(1), words(MessageKind::denoise))},
    {"ids", says(kCoordinatorPeer, words(MessageKind::encode, 100))},
    {"a_close_without_a_hello",
     [](const Stranger& s) {
       HostilePeer peer(s.stage);
       peer.say(word(MessageKind::close, s.ring));
       EXPECT_THAT(peer.complaint(), testing::HasSubstr("not a hello"));
     }},
    {"a_goodbye_without_a_hello",
     [](const Stranger& s) {
       HostilePeer peer(s.stage);
       Message bye = word(MessageKind::goodbye, s.ring);
       bye.fault.emplace();
       peer.say(bye);
       EXPECT_THAT(peer.complaint(), testing::HasSubstr("not a hello"));
     }},
    {"a_load",
     [](const Stranger& s) {
       HostilePeer peer(s.stage);
       peer.hello(kCoordinatorPeer, s.ring);
       peer.say(load_of({}, kHeadPeer, {s.ring.incarnation, 9}, s.model));
       EXPECT_THAT(peer.complaint(), testing::HasSubstr("another coordinator for"));
     }},
    {"a_hundred_hellos",
     [](const Stranger& s) {
       for (int i = 0; i < 100; ++i) HostilePeer(s.stage).hello(kHeadPeer, s.ring);
     }},
    {"garbage",
     [](const Stranger& s) {
       HostilePeer peer(s.stage);
       peer.raw().write(std::string(1000, '\xff'));
     }},
};

std::string name_of(const testing::TestParamInfo<AgainstARing>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Attacks, RingUnderAttack, testing::ValuesIn(kAttacks), name_of);

}  // namespace
}  // namespace potluck
