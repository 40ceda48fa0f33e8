// Endpoints as people write them, and as sockets want them.
#pragma once

#include <string>

namespace potluck {

struct ZmqEndpoint {
  std::string text;  // as given
  std::string host;  // tcp: a name, an address without brackets, or "*"; empty: ipc
  std::string port;  // tcp: digits; "0" for any
  std::string path;  // ipc
};

// Throws Fault{input} for what is neither tcp://HOST:PORT nor ipc:///PATH.
ZmqEndpoint parse_zmq_endpoint(const std::string& text);

// The endpoint with the host's first address in numbers ("tcp://127.0.0.1:7000", "tcp://[::1]:7").
// May ask a name server, and wait for it. Throws Fault{world} if the name is unknown.
std::string resolve(const ZmqEndpoint& endpoint);
bool needs_name_server(const ZmqEndpoint& endpoint);  // else resolve() returns at once

// Whether only this machine can reach a resolved address.
bool is_loopback(const std::string& resolved);

// Makes sure that listening takes nothing away: removes a socket file that a dead process left.
// Throws Fault{world} if somebody listens there, Fault{input} if it is something else than a
// socket.
void clear_socket_file(const ZmqEndpoint& endpoint);

}  // namespace potluck
