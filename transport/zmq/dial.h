// Dial: one attempt to reach somebody at any of an endpoint's addresses. The next one is dialed
// when those before it have failed, or have not answered for a quarter of a second (RFC 8305);
// whichever connects first is the connection, and the others are given up.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "topology/base/clock.h"
#include "transport/zmq/probe.h"
#include "transport/zmq/socket.h"

namespace potluck {

inline constexpr double kNextAddressSeconds = 0.25;

class Dial final {
 public:
  using NewSocket = std::function<std::unique_ptr<ZmqSocket>()>;

  // addresses: as resolve() of endpoint.h gives them, at least one.
  Dial(std::vector<std::string> addresses, NewSocket new_socket);

  struct Connected {
    std::unique_ptr<ZmqSocket> socket;
    int fd = -1;
    std::vector<ZmqHappening::Kind> since;  // what has happened to it since
  };
  // Dials what is due, and reads what has happened. Never waits.
  std::optional<Connected> advance(Time now);
  // Every address has failed, and it is known how.
  bool failed() const;
  // Says what came of each address that has been dialed so far, and what helps: "10.0.0.4 did not
  // answer; see …". Empty for a socket file.
  std::string trouble() const;
  void append_poll_items(std::vector<zmq::pollitem_t>& items);

 private:
  struct Try {
    std::string address;
    std::unique_ptr<ZmqSocket> socket;  // while it may still connect
    std::optional<Probe> probe;         // since it has failed, until it is known how
    std::string failure;                // how it has failed, the last time
    bool is_unrouted = false;           // and that was here
    std::optional<Time> started_at;

    bool is_over() const { return started_at && !socket && !probe; }
  };

  void start_due(Time now);
  void start(Try& attempt, Time now);
  std::optional<Connected> read(Try& attempt);
  void ask_why(Try& attempt);
  std::string advice() const;

  const NewSocket new_socket_;
  std::vector<Try> tries_;
};

}  // namespace potluck
