// MPI as the only transport: the contract's suites on real ranks.
#include "tests/contract/transport_kinds.h"
#include "tests/transport/mpi/ranks.h"

namespace potluck {

std::vector<TransportKind> transport_kinds() {
  const auto net = [] { return [] { return Ranks::all().party(); }; };
  return {{"Mpi", net, [] { return std::string("mpi://*"); }}};
}

std::vector<TransportKind> dialing_kinds() {
  return transport_kinds();
}

}  // namespace potluck
