// The promises of transport.h as two suites: those that every transport keeps
// (transport_contract_test.cc), and those that transports keep that dial and listen while they run
// (dialing_contract_test.cc). Each runs on every TransportKind that transport_kinds.h lists. A test
// has two or three parties, which its own thread drives in turn; none measures time.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/transport.h"

namespace potluck {

struct TransportKind {
  std::string name;
  // A maker of transports that can reach each other.
  std::function<std::function<std::unique_ptr<Transport>()>()> make_net;
  std::function<std::string()> fresh_endpoint;  // to listen at; listen() returns the one to dial
  std::string key;                              // that all parties have, where links are locked
  bool real_time = true;  // wait() lets the clock's time pass, not time that is made up
  // Where payloads lie, and what the ends of a pair need before they carry such ones.
  std::function<Payload(std::vector<std::byte>)> payload = own_payload;
  std::function<void(Transport& a, PeerId a_is, Transport& b, PeerId b_is)> link =
      [](Transport&, PeerId, Transport&, PeerId) {};
};

// For a readable list of tests.
inline void PrintTo(const TransportKind& kind, std::ostream* out) {
  *out << kind.name;
}

class TransportContract : public testing::TestWithParam<TransportKind> {
 protected:
  static constexpr double kPatienceSeconds = 20;  // an upper bound for what must happen

  TransportContract() : make_(GetParam().make_net()) {}

  std::unique_ptr<Transport> party(PeerId self, const std::string& name) {
    auto transport = make_();
    Identity identity;
    identity.self = self;
    identity.incarnation = 7;
    identity.epoch = 3;
    identity.hello.software = "potluck test";
    identity.hello.name = name;
    for (PeerId peer = kCoordinatorPeer; peer <= stage_peer(8); ++peer)
      if (!GetParam().key.empty()) identity.keys[peer] = {GetParam().key};
    transport->set_identity(identity);
    return transport;
  }

  std::string listen(Transport& transport) { return transport.listen(GetParam().fresh_endpoint()); }

  // The address of a party that listens there.
  static Address at(const std::string& endpoint) { return {endpoint, GetParam().key}; }

  static std::optional<Event> next(Transport& transport, double patience = kPatienceSeconds) {
    return transport.wait(now() + from_seconds(patience));
  }

  static Event expect(Transport& transport, Event::Kind kind, PeerId peer) {
    std::optional<Event> event = next(transport);
    if (!event) {
      ADD_FAILURE() << "no event came";
      return {};
    }
    EXPECT_EQ(static_cast<int>(event->kind), static_cast<int>(kind)) << event->reason;
    EXPECT_EQ(event->peer, peer);
    return std::move(*event);
  }
  static Event expect_up(Transport& t, PeerId peer) { return expect(t, Event::Kind::up, peer); }
  static Event expect_down(Transport& t, PeerId peer) { return expect(t, Event::Kind::down, peer); }
  static Message expect_message(Transport& t, PeerId peer) {
    return expect(t, Event::Kind::message, peer).message;
  }

  // Nothing may come any more. Long enough for what is on the way, in process or over loopback.
  static void expect_silence(Transport& transport) {
    const std::optional<Event> event = next(transport, 0.3);
    EXPECT_FALSE(event.has_value()) << "kind " << static_cast<int>(event->kind) << " from peer "
                                    << event->peer << ": " << event->reason;
  }

  static Message message(PeerId to, uint64_t number, std::vector<std::byte> payload = {}) {
    Message m;
    m.header.kind = MessageKind::denoise;
    m.header.destination = to;
    m.header.session = number;
    m.payload = GetParam().payload(std::move(payload));
    return m;
  }

  static std::vector<std::byte> bytes(size_t count) {
    std::vector<std::byte> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<std::byte>(i * 2654435761u >> 13);
    return values;
  }

  // A head (peer 1) that listens, and a stage (peer 2) that has dialed it.
  struct Pair {
    std::unique_ptr<Transport> head, stage;
    std::string endpoint;
  };
  Pair linked_pair() {
    Pair pair{party(kHeadPeer, "head"), party(stage_peer(0), "stage 0"), ""};
    pair.endpoint = listen(*pair.head);
    pair.stage->connect(kHeadPeer, at(pair.endpoint));
    expect_up(*pair.head, stage_peer(0));
    expect_up(*pair.stage, kHeadPeer);
    GetParam().link(*pair.head, kHeadPeer, *pair.stage, stage_peer(0));
    return pair;
  }

  std::function<std::unique_ptr<Transport>()> make_;
};

}  // namespace potluck
