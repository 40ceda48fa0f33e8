// Endpoints as people write them, and as sockets want them.
#pragma once

#include <string>
#include <vector>

namespace potluck {

struct ZmqEndpoint {
  std::string text;  // as given
  std::string host;  // tcp: a name, an address without brackets, or "*"; empty: ipc
  std::string port;  // tcp: digits; "0" for any
  std::string path;  // ipc
};

// Throws Fault{input} for what is neither tcp://HOST:PORT nor ipc:///PATH.
ZmqEndpoint parse_zmq_endpoint(const std::string& text);

inline constexpr size_t kAddressesMax = 16;  // of a name; of a link-local address as well

// The endpoint in numbers ("tcp://10.0.0.3:7000", "tcp://[fe80::3%eth0]:7000"), once for each
// address of its host, in the order in which they are to be tried: IPv4 and IPv6 in turn. A
// link-local address without a zone is given once for each interface that might lead there. May ask
// a name server, and wait for it. Throws Fault{world} if there is no address.
std::vector<std::string> resolve(const ZmqEndpoint& endpoint);
bool needs_name_server(const ZmqEndpoint& endpoint);  // else resolve() returns at once

// Hosts, each once and at most kAddressesMax of them, as resolve() orders them.
std::vector<std::string> in_turn(const std::vector<std::string>& hosts);

// Makes sure that listening takes nothing away: removes a socket file that a dead process left.
// Throws Fault{world} if somebody listens there, Fault{input} if it is something else than a
// socket.
void clear_socket_file(const ZmqEndpoint& endpoint);

}  // namespace potluck
