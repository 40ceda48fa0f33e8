// An endpoint says where a worker listens, as plans and the command line write it.
#pragma once

#include <optional>
#include <string>

namespace potluck {

struct Endpoint {
  std::string scheme;  // "tcp" or "ipc"
  std::string host;    // of tcp: a name, an IPv4 address or [IPv6]; of ipc: the path
  int port = 0;        // of tcp: 1 to 65535
};

// Takes "tcp://HOST:PORT" or "ipc:///PATH" apart; nothing if the text is neither.
std::optional<Endpoint> parse_endpoint(const std::string& text);

// Whether this machine alone can dial it: 127.x.x.x, localhost, [::1] or ipc.
bool is_loopback(const Endpoint& endpoint);

}  // namespace potluck
