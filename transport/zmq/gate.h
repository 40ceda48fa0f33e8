// A Gate answers libzmq's questions whether a key may have a connection (ZAP, RFC 27), for all
// listeners of its context. Whoever it turns away gets no further than the handshake.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "transport/link/callers.h"

namespace potluck {

// The domain that a listening socket has to name for the gate to be asked.
inline constexpr char kGateDomain[] = "potluck";

class Gate final {
 public:
  explicit Gate(zmq::context_t& context);

  void allow(std::set<std::string> keys) { allowed_ = std::move(keys); }
  // Answers what has been asked, and says who was turned away.
  std::vector<Caller> answer();
  void append_poll_items(std::vector<zmq::pollitem_t>& items);

 private:
  void reply(const std::string& id, bool allowed, const std::string& key);

  zmq::socket_t socket_;
  std::set<std::string> allowed_;
};

// The key that the connection of this frame was let in with; empty: it is not locked.
std::string key_of(zmq::message_t& frame);

}  // namespace potluck
