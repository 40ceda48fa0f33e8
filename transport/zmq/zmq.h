// Transport over ZeroMQ: "tcp://HOST:PORT" (port * or 0: any that is free) and "ipc:///PATH".
//
// One connection is one link: it is never re-made behind our back, so nothing of an old link
// reaches a new one. Destruction flushes what was sent for at most about a second.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/transport.h"

namespace potluck {

struct ZmqOptions {
  // Listen beyond loopback though nothing is encrypted. Keys will stand here.
  bool insecure_plaintext = false;
  // Gets one line for each connection that was turned away; called on the I/O thread. By default
  // stderr.
  std::function<void(const std::string& line)> log;
};

// listen() throws Fault{input} for an endpoint of another form, or beyond loopback without
// insecure_plaintext. connect() resolves names away from the caller's thread.
std::unique_ptr<Transport> make_zmq_transport(ZmqOptions options);

}  // namespace potluck
