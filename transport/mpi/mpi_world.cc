// Joins and leaves the job that mpirun started.
#include "transport/mpi/mpi_world.h"

#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <utility>

#include "topology/base/fault.h"
#include "transport/mpi/envelope.h"

namespace potluck {
namespace {

constexpr double kLeaveSeconds = 1.0;  // for the others to come to their end

void check(int code, const char* what) {
  if (code != MPI_SUCCESS)
    throw Fault(FaultKind::world, std::string("MPI: ") + what + ": " + mpi_error_text(code));
}

}  // namespace

MpiWorld::MpiWorld() {
  int level = MPI_THREAD_SINGLE;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level), "cannot start");
  if (level < MPI_THREAD_SERIALIZED)
    throw Fault(FaultKind::world,
                "the MPI that is installed here allows calls from its first thread alone; use one "
                "that was built with threads, as Debian's libopenmpi3 is");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "cannot make a communicator");
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
}

// MPI_Finalize waits for all ranks, for ever: it is called when they are known to call it.
MpiWorld::~MpiWorld() {
  if (std::uncaught_exceptions() == 0 && !abandoned_ && all_leave()) MPI_Finalize();
}

bool MpiWorld::all_leave() {
  MPI_Request barrier;
  if (MPI_Ibarrier(comm_, &barrier) != MPI_SUCCESS) return false;
  const Time deadline = now() + from_seconds(kLeaveSeconds);
  int done = 0;
  while (MPI_Test(&barrier, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done && now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done != 0;
}

int MpiWorld::next_payload_tag() {
  last_payload_tag_ = last_payload_tag_ % kPayloadTagMax + 1;
  return last_payload_tag_;
}

std::vector<int> MpiWorld::missing() {
  std::future<std::vector<int>> found;
  {
    const std::lock_guard lock(mutex_);
    found = roll_call_.emplace().get_future();
  }
  const bool answered =
      found.wait_for(from_seconds(2 * kRollCallSeconds)) == std::future_status::ready;
  return answered ? found.get() : std::vector<int>();
}

std::optional<MpiWorld::RollCall> MpiWorld::take_roll_call() {
  const std::lock_guard lock(mutex_);
  return std::exchange(roll_call_, std::nullopt);
}

std::string mpi_error_text(int code) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  return text;
}

}  // namespace potluck
