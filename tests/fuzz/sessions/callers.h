// Callers: connections of a peer that obeys no rule, and what it hears on them.
#pragma once

#include <string>
#include <vector>

#include "tests/fuzz/sessions/wires.h"
#include "tests/fuzz/sessions/words.h"

namespace potluck {

class Callers final : private PipeEvents {
 public:
  // It listens at kEvilEndpoint.
  Callers(Wires& wires, Words& words);

  void know(RingId ring) { scene_.ring = ring; }
  // From now on whatever is answered must be a goodbye that tells nothing.
  void expect_nothing() { nothing_ = true; }

  void dial(Draws& draws, const std::string& endpoint);
  // Goes on with one of the connections.
  void act(Draws& draws);
  void hang_up();  // all of them

 private:
  struct Caller {
    ConnectionId id = 0;
    PeerId as = 0;
    bool said_hello = false;
  };

  void say(Draws& draws, const Caller& caller, const Message& message, uint64_t times = 1);
  Message hello(Draws& draws, Caller& caller);
  MessageKind next_kind(Draws& draws, const Caller& caller) const;
  void remove(ConnectionId id);

  void called(ConnectionId id, potluck::Caller caller) override;
  void locked_out(const potluck::Caller&) override {}
  void connected(ConnectionId) override {}
  void arrived(ConnectionId id, const void* header, size_t header_bytes, Payload payload) override;
  void broken(ConnectionId, const std::string&) override {}
  void hung_up(ConnectionId) override {}
  void ended(ConnectionId id) override { remove(id); }
  void failing(ConnectionId, const std::string&) override {}
  void unreachable(ConnectionId id, const std::string&) override { remove(id); }

  Wires& wires_;
  Words& words_;
  Scene scene_;
  std::vector<Caller> callers_;
  bool nothing_ = false;
};

}  // namespace potluck
