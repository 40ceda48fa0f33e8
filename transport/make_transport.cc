// The list of transports. One whose library may be missing has a stand-in of the same name beside
// it (no_mpi.cc), which the build takes instead and which says what to install.
#include "transport/make_transport.h"

#include <utility>

#include "transport/zmq/zmq.h"

namespace potluck {

std::unique_ptr<Transport> make_transport(const std::string& name, TransportOptions options) {
  if (name == "inproc") return make_inproc_transport(std::move(options.hub));
  if (name == "mpi") return make_mpi_transport(std::move(options.job), [](const std::string&) {});
  if (name == "zmq") return make_zmq_transport({options.insecure_plaintext, {}});
  throw Fault(FaultKind::input,
              "unknown transport \"" + name + "\"; it must be inproc, zmq or mpi");
}

}  // namespace potluck
