// Strangers at the ports of a ring that works: nothing that they say changes its answers, and
// nothing is said to them of the ring.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/hostile/honest_ring.h"
#include "tests/hostile/hostile_peer.h"
#include "topology/base/utf8.h"
#include "transport/proof/ring_proof.h"

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

// Nobody is heard who has no key of the ring, be it before the coordinator has come or after.
TEST(LockedRing, StrangersGetNoFurtherThanTheHandshake) {
  const std::shared_ptr<const ModelSource> source = open_model(kAttackedModel);
  HonestWorkers workers(source, 3, Locks::one_key);
  const auto strike = [&] {
    for (size_t worker = 0; worker < 3; ++worker) {
      ZmtpPeer raw(workers.endpoint(worker));
      EXPECT_FALSE(raw.shake_hands("DEALER"));
      raw.send(word(MessageKind::hello, {}));
      EXPECT_FALSE(raw.receive());
    }
  };
  strike();
  HonestCoordinator coordinator(source, workers.plan());
  const std::vector<int32_t> expected = coordinator.ask();
  ASSERT_FALSE(expected.empty());
  strike();
  EXPECT_EQ(coordinator.ask(), expected);
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

std::vector<Message> all_words() {
  using Kind = MessageKind;
  std::vector<Message> all;
  for (const Kind kind :
       {Kind::open, Kind::close, Kind::truncate, Kind::cancel, Kind::shutdown, Kind::join,
        Kind::joined, Kind::encode, Kind::encode_done, Kind::denoise, Kind::candidates})
    all.push_back(word(kind, {}));
  return all;
}

Message fault_of_a_stranger() {
  Message fault = word(MessageKind::fault, {});
  fault.fault = FaultReport{FaultKind::world, "it burns", "stage 1", {}};
  return fault;
}

// Bytes on a connection of its own, at each port; whether they are answered or not.
std::function<void(const Stranger&)> bytes(std::string text) {
  return [text = std::move(text)](const Stranger& s) {
    for (const std::string& endpoint : {s.head, s.stage}) ZmtpPeer(endpoint).write(text);
  };
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// The same, so many times, behind a handshake, after which the worker must hang up; or need not so
// soon.
std::function<void(const Stranger&)> frames(std::string text, bool are_heard = true,
                                            int times = 1) {
  return [text = std::move(text), are_heard, times](const Stranger& s) {
    const std::string all = repeated(text, times);
    for (const std::string& endpoint : {s.head, s.stage}) {
      ZmtpPeer peer(endpoint);
      ASSERT_TRUE(peer.shake_hands("DEALER"));
      peer.write(all);
      while (are_heard && peer.receive()) {
      }
    }
  };
}

std::string command(const std::string& name, const std::string& body) {
  std::string frame = zmtp_frame(static_cast<char>(name.size()) + name + body);
  frame[0] |= 4;
  return frame;
}

std::string greeting_with(size_t at, const std::string& damage) {
  return zmtp_greeting().replace(at, damage.size(), damage);
}

// A hello with something about it.
std::function<void(const Stranger&)> hello_with(std::function<void(Message&)> damage) {
  return [damage = std::move(damage)](const Stranger& s) {
    for (const std::string& endpoint : {s.head, s.stage}) {
      HostilePeer peer(endpoint);
      Message hello = word(MessageKind::hello, s.ring, 0);
      hello.header.source = kHeadPeer;
      hello.hello = Hello{"evil", "evil"};
      damage(hello);
      peer.say(hello);
      const std::string told = peer.complaint();
      EXPECT_EQ(one_line(told), told);
    }
  };
}

// So many strangers who say nothing, or that much of a greeting.
std::function<void(const Stranger&)> silence(int strangers, size_t greeting) {
  return [=](const Stranger& s) {
    std::vector<std::unique_ptr<ZmtpPeer>> silent;
    for (int i = 0; i < strangers; ++i) {
      silent.push_back(std::make_unique<ZmtpPeer>(i % 2 ? s.head : s.stage));
      silent.back()->write(zmtp_greeting().substr(0, greeting));
    }
    HostilePeer peer(s.head);  // there is still somebody who answers
    peer.hello(200, s.ring);
    EXPECT_NE(peer.complaint(), "");
  };
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
    {"a_neighbour_without_a_proof",
     [](const Stranger& s) {
       const auto strike = [&](HostilePeer& peer, const std::string& nonce) {
         Message hello = word(MessageKind::hello, {}, 0);
         hello.header.source = kHeadPeer;
         hello.hello = Hello{"potluck", "head", nonce};
         peer.say(hello);
         return peer.raw().receive_message().value();
       };
       const std::string nonce(kNonceBytes, 'n');
       HostilePeer liar(s.stage), mute(s.stage), impatient(s.stage);
       for (HostilePeer* each : {&liar, &mute, &impatient}) {
         const Message answer = strike(*each, nonce);
         EXPECT_EQ(answer.header.kind, MessageKind::hello);
         EXPECT_EQ(answer.header.source, kUnassignedPeer);
         EXPECT_EQ(ring_of(answer.header), RingId{});
         EXPECT_EQ(answer.hello->name, "");
         EXPECT_EQ(answer.hello->nonce.size(), kNonceBytes);
       }
       Message lie = word(MessageKind::proof, s.ring, 0);
       lie.proof = Proof{std::string(kProofBytes, 'p')};
       liar.say(lie);
       EXPECT_THAT(liar.complaint(), testing::HasSubstr("did not prove it"));
       impatient.say(word(MessageKind::close, s.ring));
       EXPECT_THAT(impatient.complaint(), testing::HasSubstr("in place of a proof"));
     }},
    {"a_hundred_neighbours_without_a_proof",
     [](const Stranger& s) {
       std::vector<std::unique_ptr<HostilePeer>> peers;
       for (int i = 0; i < 100; ++i) {
         peers.push_back(std::make_unique<HostilePeer>(s.stage));
         Message hello = word(MessageKind::hello, {}, 0);
         hello.header.source = kHeadPeer;
         hello.hello = Hello{"potluck", "", std::string(kNonceBytes, 'n')};
         peers.back()->say(hello);
       }
       peers[0]->complaint();  // its connection is shut, for it is among too many strangers
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
    {"a_fault_of_the_last_stage", says(stage_peer(1), {fault_of_a_stranger()})},
    {"candidates_of_the_head", says(kHeadPeer, words(MessageKind::candidates, 3))},
    {"answers_of_the_last_stage", says(stage_peer(1), words(MessageKind::encode_done, 3))},
    {"a_join", says(kCoordinatorPeer, words(MessageKind::join))},
    {"a_hello_for_itself", says(stage_peer(0), words(MessageKind::open))},
    {"every_word_there_is", says(kHeadPeer, all_words())},
    {"a_hello_of_another_protocol",
     hello_with([](Message& m) { m.header.protocol = kOtherProtocol; })},
    {"a_hello_without_a_body", hello_with([](Message& m) { m.hello.reset(); })},
    {"a_hello_with_the_body_of_a_load", hello_with([](Message& m) {
       m.hello.reset();
       m.load.emplace();
     })},
    {"a_hello_with_a_payload",
     hello_with([](Message& m) { m.payload = own_payload(std::vector<std::byte>(20000)); })},
    {"a_hello_with_260_hops",
     hello_with([](Message& m) { m.header.hops.resize(260, Hop{kHeadPeer}); })},
    {"a_hello_of_a_page",
     hello_with([](Message& m) { m.hello->name = std::string(kTextBytesMax, 'x'); })},
    {"a_hello_of_another_digest", hello_with([](Message& m) { m.header.digest = 0xBAD; })},
    {"a_hello_that_drives_a_terminal",
     [](const Stranger& s) {
       for (const char* driver : kTerminalDrivers) {
         HostilePeer peer(s.stage);
         Message hello = word(MessageKind::hello, s.ring, 0);
         hello.header.source = kHeadPeer;
         hello.hello = Hello{"~~~", "e~~~vil"};
         peer.say_with(driver, hello);
         const std::string told = peer.complaint();
         EXPECT_EQ(one_line(told), told);
       }
     }},
    {"a_hello_and_half_a_hang_up",
     [](const Stranger& s) {
       for (int i = 0; i < 50; ++i) {
         HostilePeer peer(s.stage);
         peer.hello(kHeadPeer, s.ring);
         peer.raw().hang_up();
       }
     }},
    {"two_strangers_of_one_identity",
     [](const Stranger& s) {
       for (const std::string& identity : {std::string("same"), std::string(255, 'x'),
                                           std::string("\0\0\0\0\1", 5), std::string(1, '\0')}) {
         ZmtpPeer one(s.stage), other(s.stage);
         one.shake_hands("DEALER", identity);
         other.shake_hands("DEALER", identity);
         one.send(word(MessageKind::close, s.ring));
         other.send(word(MessageKind::close, s.ring));
         one.receive_message();
       }
     }},
    {"sockets_of_other_types",
     [](const Stranger& s) {
       for (const char* type : {"SUB", "REQ", "PAIR", "ROUTER", "STREAM", "", "no type at all"}) {
         ZmtpPeer peer(s.stage);
         peer.shake_hands(type);
         peer.send(word(MessageKind::close, s.ring));
         peer.receive_message();
       }
     }},
    {"300_silent_strangers", silence(300, 0)},
    {"300_strangers_who_stop_in_their_greeting", silence(300, 20)},
    {"300_strangers_who_only_greet", silence(300, 64)},
    {"a_greeting_of_an_older_version", bytes(std::string("\x01\x00", 2))},
    {"a_greeting_of_version_2", bytes(greeting_with(10, "\x01"))},
    {"a_greeting_of_version_255", bytes(greeting_with(10, "\xFF"))},
    {"a_greeting_with_a_password", bytes(greeting_with(12, "PLAIN"))},
    {"a_greeting_with_another_mechanism", bytes(greeting_with(12, "EVIL"))},
    {"a_request_for_a_page", bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
    {"a_ready_of_a_megabyte", bytes(zmtp_greeting() + command("READY", std::string(1 << 20, 'x')))},
    {"a_thousand_readies", frames(command("READY", ""), false, 1000)},
    {"a_million_pings", frames(command("PING", std::string(2, '\0')), true, 1000000)},
    {"a_command_that_goes_on", frames(std::string("\x05\x05\x04PING", 7), false)},
    {"a_frame_with_all_flags", frames(std::string("\xFF\xFF", 2) + std::string(300, 'x'))},
    {"a_frame_of_exabytes", frames(std::string("\x02\x7F", 2) + std::string(100000, 'x'))},
    {"an_empty_message", frames(zmtp_frame(""))},
    {"an_empty_frame_before_it_all", frames(zmtp_frame("", true) + zmtp_frame("hello"))},
    {"a_message_of_ten_thousand_frames",
     frames(repeated(zmtp_frame("", true), 10000) + zmtp_frame(""))},
    {"words_that_are_all_zero", frames(zmtp_frame(std::string(800, '\0')))},
    {"words_that_point_past_the_end", frames(zmtp_frame(repeated("\xFF\x7F\0\0\1\0\0\0", 40)))},
};

std::string name_of(const testing::TestParamInfo<AgainstARing>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Attacks, RingUnderAttack, testing::ValuesIn(kAttacks), name_of);

}  // namespace
}  // namespace potluck
