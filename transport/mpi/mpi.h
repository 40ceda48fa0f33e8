// Transport over MPI: "mpi://RANK"; listen() takes "mpi://*" for the own rank as well. Its peers
// are the processes that mpirun started together; none can join later, and when one dies mpirun
// ends them all.
//
// A payload is received straight into the memory in which it will be used, and sent from where it
// lies. MPI has no descriptor to wait for, so the I/O thread polls, and naps ever longer while
// nothing comes: behind a long silence a message is noticed up to 0.25 ms late, and an idle link
// takes about 1 % of a core.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/transport.h"

namespace potluck {

// This process among those that mpirun started together.
class MpiJob {
 public:
  virtual ~MpiJob() = default;  // leaves the job, together with the others if they leave as well
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // The ranks that have been connected to this one and do not answer now; their links are down
  // afterwards. Takes kRollCallSeconds at most. From the owner's thread of the job's transport.
  virtual std::vector<int> missing() = 0;
};

inline constexpr double kRollCallSeconds = 0.4;  // mpirun kills a second after it asks to end

// Once in a process, before other threads start. Throws Fault{input} if potluck was built without
// MPI, and Fault{world} if the MPI that is here cannot serve.
std::shared_ptr<MpiJob> join_mpi_job();

// One at a time in a process. log: see make_pipe_transport().
std::unique_ptr<Transport> make_mpi_transport(std::shared_ptr<MpiJob> job,
                                              std::function<void(const std::string& line)> log);

}  // namespace potluck
