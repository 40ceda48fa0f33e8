// The transports that the suites of this folder run on. A transport that needs a program of its own
// (one that mpirun starts) defines transport_kinds() anew and links transport_contract_test.cc.
#pragma once

#include <vector>

#include "tests/contract/transport_contract.h"

namespace potluck {
std::vector<TransportKind> transport_kinds();
std::vector<TransportKind> dialing_kinds();  // those of them that dial and listen
}  // namespace potluck
