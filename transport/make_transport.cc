// The list of transports. One whose library may be missing has a stand-in of the same name beside
// it (no_mpi.cc), which the build takes instead and which says what to install.
#include "transport/make_transport.h"

#include <utility>

#include "transport/zmq/zmq.h"

namespace potluck {
namespace {

std::unique_ptr<Transport> make_zmq(TransportOptions options) {
  return make_zmq_transport({std::move(options.keys), options.insecure_plaintext, {}});
}

std::unique_ptr<Transport> make_inproc(TransportOptions options) {
  return make_inproc_transport(std::move(options.hub));
}

std::unique_ptr<Transport> make_mpi(TransportOptions options) {
  return make_mpi_transport(std::move(options.job), [](const std::string&) {});
}

}  // namespace

const std::vector<TransportChoice>& transport_choices() {
  static const std::vector<TransportChoice> kinds = {
      {"zmq", "between processes and machines", true, make_zmq},
      {"inproc", "within one process", false, make_inproc},
      {"mpi", "between ranks that mpirun starts", true, make_mpi}};
  return kinds;
}

std::unique_ptr<Transport> make_transport(const std::string& name, TransportOptions options) {
  std::string names;
  for (const TransportChoice& kind : transport_choices()) {
    if (kind.name == name) return kind.make(std::move(options));
    names += (names.empty() ? "" : ", ") + kind.name;
  }
  throw Fault(FaultKind::input, "unknown transport \"" + name + "\"",
              Fix{"it must be one of " + names});
}

}  // namespace potluck
