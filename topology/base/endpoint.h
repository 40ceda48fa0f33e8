// An endpoint says where a worker listens, as plans and the command line write it.
#pragma once

#include <optional>
#include <string>

namespace potluck {

struct Endpoint {
  std::string scheme;  // "tcp" or "ipc"
  std::string host;  // of tcp: a name, an IPv4 address, [IPv6], [IPv6%ZONE] or *; of ipc: the path
  int port = 0;      // of tcp: 1 to 65535
};

// Takes "tcp://HOST:PORT" or "ipc:///PATH" apart; nothing if the text is neither.
std::optional<Endpoint> parse_endpoint(const std::string& text);

// Whether this machine alone can dial it: 127.x.x.x, localhost, [::1] or ipc. A name that only
// looks like such an address is none.
bool is_loopback(const Endpoint& endpoint);

// Whether it stands for all addresses of a machine (*, 0.0.0.0 or [::]), so that a worker can
// listen there but nobody can dial it.
bool is_any_address(const Endpoint& endpoint);

// Whether a tcp host is one machine's: an IPv4 address of four numbers that is neither multicast
// nor broadcast, an IPv6 address, or a name of labels of letters, digits, "-" and "_", the last of
// which is no number. What only the C library takes for an address ("10.1", "0x0a000002") is none.
bool is_machine(const std::string& host);

// An endpoint's zone says by which interface a link-local address is reached, and means that to one
// machine alone: without it the text is of use to others. Any other text comes back as it is.
std::string without_zone(const std::string& endpoint);

}  // namespace potluck
