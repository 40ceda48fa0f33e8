// Where other machines reach the control channel of a coordinator.
#pragma once

#include <string>
#include <vector>

#include "topology/base/endpoint.h"

namespace potluck {

// A coordinator that takes other machines in listens here, unless it is told another port.
inline constexpr int kControlPort = 7117;

// "10.0.0.3:7117" for each address of this machine that others might reach it by, as many as a
// token holds.
std::vector<std::string> control_addresses(int port = kControlPort);
// Takes --listen apart: HOST:PORT, or HOST:* for any free port, which is 0 here. Throws
// Fault{input}.
Endpoint parse_listen(const std::string& text);
// Where workers of machines that join reach those of this one, if the channel listens at
// "HOST:PORT": that host, or the first of this machine's addresses; empty if it has none.
std::string address_for_guests(const std::string& listen);
// Adds the port to what somebody has written, HOST or HOST:PORT. Throws Fault{input} for neither.
std::vector<std::string> control_addresses_of(const std::vector<std::string>& written);

}  // namespace potluck
