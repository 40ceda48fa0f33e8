// Transport over ZeroMQ: "tcp://HOST:PORT" (port * or 0: any that is free) and "ipc:///PATH".
//
// Links over TCP are locked: each side shows a key, and what travels is encrypted (CURVE). What is
// sent over ipc stays on this machine, where whoever may open the socket is the file's permissions'
// business.
//
// One connection is one link: it is never re-made behind our back, so nothing of an old link
// reaches a new one. Destruction flushes what was sent for at most about a second.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/link/pipe.h"
#include "transport/transport.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {

struct ZmqOptions {
  // Gives this machine's keys. Called when they are first needed, on the I/O thread; may throw
  // Fault. None: TCP is for plain links alone.
  std::function<LockKeys()> keys;
  // Listeners lock nothing, and endpoints may be dialed that have no key.
  bool insecure_plaintext = false;
  // Gets one line for each connection that was turned away; called on the I/O thread. By default
  // stderr.
  std::function<void(const std::string& line)> log;
};

// listen() throws Fault{input} for an endpoint of another form, for TCP with neither keys nor
// insecure_plaintext, and for plain links at all interfaces of the machine. connect() resolves
// names away from the caller's thread.
std::unique_ptr<Transport> make_zmq_transport(ZmqOptions options);

// The connections alone, for what is no link between peers of a ring. Its guard lets in those of
// Identity::keys, whatever peers they are of. Throws Fault{world} where there is no room for it.
std::unique_ptr<Pipe> make_zmq_pipe(std::function<LockKeys()> keys);

}  // namespace potluck
