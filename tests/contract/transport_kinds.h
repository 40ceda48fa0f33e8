// Every transport that there is, for suites that run on all of them.
#pragma once

#include <vector>

#include "tests/contract/transport_contract.h"

namespace potluck {
std::vector<TransportKind> transport_kinds();
}  // namespace potluck
