// Finds the address of this machine that another one can reach.
#pragma once

#include <string>

namespace potluck {

// The local address that packets to `endpoint` (tcp://HOST:PORT) leave from, as an endpoint has it:
// "10.0.0.3", "[fe80::3%eth0]". Where the addresses of its host are reached from different ones,
// they are called to see which of them answers; otherwise nothing is sent. Throws Fault{world} if
// none has a route.
std::string address_towards(const std::string& endpoint);

}  // namespace potluck
