// The process holds a lock on a file that has its id; the lock goes with it, however it ends.
#include "coordinator/membership/running_join.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <thread>

#include "coordinator/membership/private_file.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr char kName[] = "join.pid";
constexpr size_t kDigitsMax = 20;
constexpr std::chrono::milliseconds kPause(50);

[[noreturn]] void failed(const std::string& what, const std::string& path) {
  throw Fault(FaultKind::world, "cannot " + what + " " + path + ": " + std::strerror(errno),
              Fix{"set XDG_STATE_HOME to a folder of yours that can be written to"});
}

pid_t pid_in(int fd) {
  char text[kDigitsMax] = {};
  const ssize_t bytes = pread(fd, text, sizeof(text), 0);
  pid_t pid = 0;
  if (bytes > 0) std::from_chars(text, text + bytes, pid);
  return pid;
}

// The lock's file, and whether another process holds it.
struct Lock {
  int fd = -1;
  bool is_held = false;
};

Lock open_lock(const std::string& path, int flags) {
  Lock lock;
  lock.fd = open(path.c_str(), flags | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (lock.fd < 0) return lock;
  lock.is_held = flock(lock.fd, LOCK_EX | LOCK_NB) != 0;
  return lock;
}

}  // namespace

RunningJoin::RunningJoin(const std::string& state_folder) : path_(state_folder + "/" + kName) {
  make_private_folder(state_folder);
  const Lock lock = open_lock(path_, O_RDWR | O_CREAT);
  if (lock.fd < 0) failed("write", path_);
  lock_ = lock.fd;
  if (lock.is_held) {
    const std::string pid = std::to_string(pid_in(lock_));
    close(lock_);
    throw Fault(FaultKind::input, "this machine has joined a cluster already (process " + pid + ")",
                Fix{"potluck leave ends that"});
  }
  const std::string text = std::to_string(getpid()) + "\n";
  if (ftruncate(lock_, 0) != 0 || pwrite(lock_, text.data(), text.size(), 0) < 0)
    failed("write", path_);
}

RunningJoin::~RunningJoin() {
  unlink(path_.c_str());
  close(lock_);
}

void leave_running_join(const std::string& state_folder, double seconds) {
  const std::string path = state_folder + "/" + kName;
  const Time deadline = now() + from_seconds(seconds);
  for (bool asked = false;; std::this_thread::sleep_for(kPause)) {
    const Lock lock = open_lock(path, O_RDONLY);
    const pid_t pid = lock.fd < 0 ? 0 : pid_in(lock.fd);
    if (lock.fd >= 0) close(lock.fd);
    if (!lock.is_held) {
      if (asked) return;
      throw Fault(FaultKind::input, "this machine has joined no cluster now");
    }
    if (!asked && pid > 0 && kill(pid, SIGINT) != 0) failed("signal the process of", path);
    asked = asked || pid > 0;
    if (now() >= deadline)
      throw Fault(FaultKind::world,
                  "process " + std::to_string(pid) + " has not left the cluster in time",
                  Fix{"kill it: the ring goes on without this machine"});
  }
}

}  // namespace potluck
