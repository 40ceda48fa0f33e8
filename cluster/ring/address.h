// This machine's address as another one sees it.
#pragma once

#include <string>

namespace potluck {

// The local address that packets to `endpoint` (tcp://HOST:PORT) leave from; nothing is sent.
// Throws Fault{world} when there is no way there.
std::string address_towards(const std::string& endpoint);

}  // namespace potluck
