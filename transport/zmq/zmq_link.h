// ZmqLink: what the I/O thread knows of one link.
#pragma once

#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/link/mailbox.h"
#include "transport/zmq/zmq_socket.h"

namespace potluck {

struct ZmqLink {
  enum class State {
    dialing,  // no hello yet
    up,
    leaving,  // dropped: our goodbye is sent, theirs is awaited
    closed    // to be swept
  };
  struct Outgoing {
    std::vector<std::byte> header;
    Payload payload;
  };

  State state = State::dialing;
  std::shared_ptr<LinkEnd> end;
  std::shared_ptr<LinkEnd> also;  // of a connect() to a peer that had called already
  bool dropped = false;           // by the owner, perhaps while still dialing
  int fd = -1;
  std::optional<Time> gone_at;  // the connection has ended; what it brought is still read

  // A link of ours has a socket of its own; one that was accepted has a route of the listener's.
  std::unique_ptr<ZmqSocket> socket;
  std::string route;

  // Dialing.
  std::string endpoint, address;  // as given; resolved, once it is
  std::future<std::string> resolved;
  Time give_up_at{}, next_try_at{};  // leaving: when to wait no longer
  int tries = 0;
  bool connected = false;        // at least one try reached somebody
  std::deque<Outgoing> waiting;  // for the hello

  // Up.
  Message hello;  // theirs
  Time heard_at{}, beat_at{};
  uint64_t sent = 0, received = 0;  // without the link's own messages

  bool is(const std::shared_ptr<LinkEnd>& wanted) const { return wanted == end || wanted == also; }
  bool is_live() const { return !dropped && (state == State::dialing || state == State::up); }
};

}  // namespace potluck
