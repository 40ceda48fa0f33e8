// MPI as a transport: its pipe, under the links that every transport has.
#include "transport/mpi/mpi.h"

#include <utility>

#include "transport/link/pipe.h"
#include "transport/mpi/mpi_pipe.h"
#include "transport/mpi/mpi_world.h"

namespace potluck {

std::shared_ptr<MpiJob> join_mpi_job() {
  return std::make_shared<MpiWorld>();
}

std::unique_ptr<Transport> make_mpi_transport(std::shared_ptr<MpiJob> job,
                                              std::function<void(const std::string& line)> log) {
  auto world = std::static_pointer_cast<MpiWorld>(std::move(job));
  return make_pipe_transport(std::make_unique<MpiPipe>(std::move(world)), std::move(log));
}

}  // namespace potluck
