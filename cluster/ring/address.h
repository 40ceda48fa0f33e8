// Finds the address of this machine that another one can reach.
#pragma once

#include <string>

namespace potluck {

// The local address that packets to `endpoint` (tcp://HOST:PORT) leave from; nothing is sent.
// Throws Fault{world} if no route leads there.
std::string address_towards(const std::string& endpoint);

}  // namespace potluck
