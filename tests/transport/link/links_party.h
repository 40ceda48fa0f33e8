// The tests of links share a record of what links ask for, in lines that a test can expect,
// and verbs for what a party orders, hears and waits for in made-up time.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "transport/link/links.h"

namespace potluck {

inline constexpr PeerId kMe = stage_peer(0), kLower = kHeadPeer, kHigher = stage_peer(5);
inline constexpr RingId kRing{7, 3};
inline constexpr double kTick = 0.1;

// Writes down what links ask for, a line each: "dial 1 at x", "1 < hello", "up 2", "down 2: why".
class Record final : public LinkActions {
 public:
  ConnectionId dial(const Address& address) override {
    add("dial " + std::to_string(++last_dial) + " at " + address.endpoint);
    return last_dial;
  }
  void send(ConnectionId connection, Parcel parcel) override {
    const Message& m = parcel.message;
    std::string line = std::to_string(connection) + " < " + message_kind_name(m.header.kind);
    if (m.header.session) line += " " + std::to_string(m.header.session);
    if (m.heartbeat) line += " " + std::to_string(m.heartbeat->taken);
    if (m.fault) line += ": " + m.fault->what;
    add(line);
    last_sent = m;
  }
  void hang_up(ConnectionId connection, double flush_seconds) override {
    add("hang up " + std::to_string(connection) + (flush_seconds > 0 ? " when flushed" : ""));
  }
  void guard(const Identity&) override {}
  void admit(ConnectionId) override {}
  bool is_receiving(ConnectionId) override { return receiving; }
  void report(std::shared_ptr<LinkEnd> end, Event event) override {
    const std::string peer = std::to_string(event.peer);
    EXPECT_EQ(end->peer, event.peer);
    if (event.kind == Event::Kind::up) add("up " + peer + ": " + event.message.hello->name);
    if (event.kind == Event::Kind::down) add("down " + peer + ": " + event.reason);
    if (event.kind == Event::Kind::message)
      add("message " + std::to_string(event.message.header.session) + " from " + peer);
    last_end = std::move(end);
  }
  uint64_t waiting_bytes() override { return waiting; }
  void log(const std::string& line) override { add("log: " + line); }

  std::vector<std::string> take() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  std::shared_ptr<LinkEnd> last_end;  // of the last event
  Message last_sent;
  ConnectionId last_dial = 0;
  bool receiving = false;
  uint64_t waiting = 0;  // bytes that the owner has not taken, by all links

 private:
  void add(std::string line) { lines.push_back(std::move(line)); }
};

inline Message hello_of(PeerId self, const std::string& name, RingId ring = {}) {
  Identity identity;
  identity.self = self;
  identity.incarnation = ring.incarnation;
  identity.epoch = ring.epoch;
  identity.hello.name = name;
  Message message = message_from(identity, MessageKind::hello, kMe);
  message.hello = identity.hello;
  return message;
}

inline Message numbered(uint64_t number) {
  Message message;
  message.header.kind = MessageKind::denoise;
  message.header.session = number;
  return message;
}

inline Message heartbeat_of(uint64_t taken) {
  Message message;
  message.header.kind = MessageKind::heartbeat;
  message.heartbeat = Heartbeat{taken};
  return message;
}

inline Message goodbye_of(const std::string& why) {
  Message message;
  message.header.kind = MessageKind::goodbye;
  message.fault = FaultReport{FaultKind::lost, why, "them"};
  return message;
}

class LinksTest : public testing::Test {
 protected:
  static constexpr ConnectionId kCall = 100;  // of the first stranger

  LinksTest() {
    Identity identity;
    identity.self = kMe;
    identity.hello.name = "me";
    links_.set_identity(now_, identity);
  }

  // From now on these alone may call, for ring {7, 3}.
  void take_calls_from(std::vector<PeerId> callers) {
    Identity identity;
    identity.self = kMe;
    identity.incarnation = kRing.incarnation;
    identity.epoch = kRing.epoch;
    identity.hello.name = "me";
    identity.callers = std::move(callers);
    links_.set_identity(now_, identity);
  }

  std::shared_ptr<LinkEnd> connect(PeerId peer, const std::string& endpoint = "x") {
    auto end = std::make_shared<LinkEnd>(peer);
    links_.connect(now_, end, endpoint);
    return end;
  }
  // A link that we dialed: connection 1.
  std::shared_ptr<LinkEnd> dialed(PeerId peer) {
    auto end = connect(peer);
    links_.connected(record_.last_dial);
    arrives(record_.last_dial, hello_of(peer, "them"));
    record_.take();
    return end;
  }
  // A link that they dialed: connection `call`.
  std::shared_ptr<LinkEnd> accepted(PeerId peer, ConnectionId call = kCall) {
    links_.called(now_, call, {"there", ""});
    arrives(call, hello_of(peer, "them"));
    record_.take();
    return record_.last_end;
  }
  void arrives(ConnectionId connection, Message message) {
    links_.arrived(now_, connection, std::move(message));
  }
  void send(const std::shared_ptr<LinkEnd>& end, uint64_t number) {
    links_.send(end, {numbered(number), {}});
  }
  // Time passes, with a tick every kTick.
  void pass(double seconds) {
    for (const Time until = now_ + from_seconds(seconds); now_ < until;) {
      now_ += from_seconds(kTick);
      links_.tick(now_);
    }
  }
  std::vector<std::string> said() { return record_.take(); }

  Time now_ = Time{} + from_seconds(1000);
  Record record_;
  Links links_{record_};
};

}  // namespace potluck
