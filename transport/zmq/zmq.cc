// ZeroMQ as a transport: its pipe, under the links that every transport has.
#include "transport/zmq/zmq.h"

#include <cstdio>
#include <utility>

#include "transport/link/pipe.h"
#include "transport/zmq/room.h"
#include "transport/zmq/zmq_pipe.h"

namespace potluck {

std::unique_ptr<Transport> make_zmq_transport(ZmqOptions options) {
  if (!options.log)
    options.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  check_room();
  auto pipe = std::make_unique<ZmqPipe>(std::move(options.keys), options.insecure_plaintext);
  return make_pipe_transport(std::move(pipe), std::move(options.log));
}

std::unique_ptr<Pipe> make_zmq_pipe(std::function<LockKeys()> keys) {
  check_room();
  return std::make_unique<ZmqPipe>(std::move(keys), false);
}

}  // namespace potluck
