// A lock says that a machine has joined a cluster, and which process has.
#include "coordinator/membership/running_join.h"

#include <unistd.h>

#include <csignal>
#include <thread>

#include "coordinator/membership/private_file.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr char kName[] = "join.pid";
constexpr int kTriesMax = 100;  // each fails where another process removes the file
constexpr std::chrono::milliseconds kPause(50);

std::string path_in(const std::string& state_folder) {
  return state_folder + "/" + kName;
}

}  // namespace

RunningJoin::RunningJoin(const std::string& state_folder) : lock_(path_in(state_folder)) {
  make_private_folder(state_folder);
  for (int tries = 0; !lock_.take(); ++tries) {
    const pid_t other = lock_.owner();
    if (other == 0 && tries < kTriesMax) continue;
    throw Fault(FaultKind::input,
                "this machine has joined a cluster already (process " + std::to_string(other) + ")",
                Fix{"potluck leave ends that"});
  }
  lock_.belongs_to(getpid());
}

RunningJoin::~RunningJoin() {
  lock_.remove();
}

void leave_running_join(const std::string& state_folder, double seconds,
                        const std::function<void(pid_t process, double waited)>& waits) {
  const LockFile lock(path_in(state_folder));
  const Time begun = now(), deadline = begun + from_seconds(seconds);
  pid_t asked = 0;
  for (; lock.is_held(); std::this_thread::sleep_for(kPause)) {
    const pid_t process = lock.owner();
    if (asked != 0 && process != 0 && process != asked) return;  // another has joined since
    if (asked == 0 && lock.signal_owner(SIGINT)) asked = process;
    if (asked != 0) waits(asked, potluck::seconds(now() - begun));
    if (now() >= deadline)
      throw Fault(FaultKind::world,
                  "process " + std::to_string(process) + " has not left the cluster in time",
                  Fix{"kill it: the ring goes on without this machine"});
  }
  if (asked == 0) throw Fault(FaultKind::input, "this machine has joined no cluster now");
}

}  // namespace potluck
