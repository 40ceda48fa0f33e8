// Stands in for mpi.cc where the build found no MPI.
#include "topology/base/fault.h"
#include "transport/mpi/mpi.h"

namespace potluck {
namespace {

[[noreturn]] void refuse() {
  throw Fault(FaultKind::input,
              "this potluck was built without MPI; install libopenmpi-dev and build again");
}

}  // namespace

std::shared_ptr<MpiJob> join_mpi_job() {
  refuse();
}

std::unique_ptr<Transport> make_mpi_transport(std::shared_ptr<MpiJob>,
                                              std::function<void(const std::string&)>) {
  refuse();
}

}  // namespace potluck
