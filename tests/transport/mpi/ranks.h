// Ranks: the processes of an MPI job as parties of one test program. Rank 0 runs the tests and is a
// party itself; each other rank keeps a real transport, which rank 0 commands through a socket.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "transport/mpi/mpi_world.h"
#include "transport/transport.h"

namespace potluck {

class Ranks final {
 public:
  explicit Ranks(std::shared_ptr<MpiJob> job);  // of rank 0; waits for the others
  ~Ranks();                                     // lets them leave

  static Ranks& all();  // those of this program

  // A transport on the lowest rank that has none; rank 0 is this process.
  std::unique_ptr<Transport> party();
  // Sends bytes as they are, from a rank that has no party.
  void send_raw(int from, int to, int tag, const std::vector<std::byte>& bytes);
  void stop(int rank, bool stopped);  // SIGSTOP, SIGCONT
  MpiJob& job() { return *job_; }
  std::vector<std::string> log_lines();  // of rank 0's transport

 private:
  class Near;
  class Far;
  std::shared_ptr<MpiJob> job_;
  std::vector<int> sockets_, pids_;  // by rank
  std::vector<bool> taken_;
};

// The other ranks run this until rank 0 is done.
void serve_rank(const std::shared_ptr<MpiJob>& job);

}  // namespace potluck
