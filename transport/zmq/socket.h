// One ZeroMQ socket and the monitor that tells what happens to its connections. Used by one thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "transport/message.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {

struct ZmqFrames {
  std::string route;                 // of a listening socket: which connection they came by
  std::vector<zmq::message_t> kept;  // at most kFramesKept, without the route
  size_t count = 0;                  // of all that came
};

struct ZmqHappening {
  enum class Kind {
    connected,
    accepted,
    disconnected,
    listening,
    starved,     // nothing can be accepted for want of descriptors
    mismatched,  // one side locks its links, and the other does not
    locked_out   // the other side does not let our key in
  };
  Kind kind;
  int fd;  // the connection's, -1 of one that was never made; the listener's; else none
};

class ZmqSocket final {
 public:
  static constexpr size_t kFramesKept = 2;  // a header and a payload

  // router: listens, and knows its connections by route. dealer: dials once.
  ZmqSocket(zmq::context_t& context, zmq::socket_type type);
  ~ZmqSocket();
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;

  // For what is bound or connected from now on. A listener lets those in that the context's gate
  // does; a dialer reaches nobody else than who has the key that it expects.
  void lock_as_listener(const LockKeys& own);
  void lock_as_dialer(const LockKeys& own, const std::string& expected);
  // Addresses are resolved ones. Both throw zmq::error_t.
  void bind(const std::string& address);
  void connect(const std::string& address);
  std::string last_endpoint() const;

  // Never waits. False: there is no such connection any more.
  bool send(const std::string& route, const std::vector<std::byte>& header, const Payload& payload);
  // A message of very many frames comes after several calls, so that none takes long.
  std::optional<ZmqFrames> receive();
  std::vector<ZmqHappening> happenings();

  // How long what was sent may still take after destruction; 0 at first.
  void set_linger(double seconds);
  void append_poll_items(std::vector<zmq::pollitem_t>& items);

 private:
  bool is_router_;
  ZmqFrames coming_;    // a message of which frames are left to read
  bool begun_ = false;  // there is one
  zmq::socket_t socket_, monitor_;
};

// The bytes that a frame takes on the wire of a connection.
size_t wire_bytes(const zmq::message_t& frame, bool is_locked);
// A frame as a payload that keeps it alive; copied if it lies at an address no multiple of 8.
Payload payload_of(zmq::message_t frame);
int fd_of(zmq::message_t& frame);               // of the connection that it came by
std::string address_of(zmq::message_t& frame);  // of the peer that sent it

}  // namespace potluck
