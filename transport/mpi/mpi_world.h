// MpiWorld: MPI from its start to its end, and what outlives a pipe: numbers that are never used
// twice, and the roll call that another thread asks for.
#pragma once

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <future>
#include <mutex>
#include <optional>
#include <vector>

#include "transport/link/links.h"
#include "transport/mpi/mpi.h"

namespace potluck {

class MpiWorld final : public MpiJob {
 public:
  MpiWorld();
  // Ends MPI if every rank has come to this, and none is in trouble; else leaves that to mpirun.
  ~MpiWorld() override;
  MpiWorld(const MpiWorld&) = delete;
  MpiWorld& operator=(const MpiWorld&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::vector<int> missing() override;

  // The rest is for the pipe, on its thread. Errors of calls on comm() are returned.
  MPI_Comm comm() const { return comm_; }
  ConnectionId next_connection() { return ++last_connection_; }
  int next_payload_tag();
  // A transfer was left unfinished: MPI is not to be ended.
  void abandon() { abandoned_ = true; }

  using RollCall = std::promise<std::vector<int>>;
  std::optional<RollCall> take_roll_call();  // that somebody has asked for

 private:
  bool all_leave();

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 0;
  ConnectionId last_connection_ = 0;
  int last_payload_tag_ = 0;
  bool abandoned_ = false;
  std::mutex mutex_;
  std::optional<RollCall> roll_call_;  // under mutex_
};

std::string mpi_error_text(int code);

}  // namespace potluck
