// flock() on a file that holds the number of a process.
#include "topology/base/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <thread>

#include "topology/base/clock.h"
#include "topology/base/descriptor.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr size_t kPidDigitsMax = 20;
constexpr double kLookSeconds = 0.25;  // others that look hold it for microseconds
constexpr std::chrono::milliseconds kPause(5);

[[noreturn]] void failed(const std::string& what, const std::string& path) {
  throw Fault(FaultKind::world, "cannot " + what + " " + path + ": " + std::strerror(errno),
              Fix{"set XDG_STATE_HOME to a folder of yours that can be written to"});
}

bool is_same_file(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return fstat(fd, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

bool locks_within(int fd, double seconds) {
  const Time deadline = now() + from_seconds(seconds);
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (now() >= deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

}  // namespace

LockFile::~LockFile() {
  if (fd_ >= 0) close(fd_);
}

bool LockFile::take() {
  const int file = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0 && errno == ENOENT) return false;
  if (file < 0) failed("write", path_);
  if (!locks_within(file, kLookSeconds) || !is_same_file(file, path_)) {
    close(file);
    return false;
  }
  fd_ = file;
  if (ftruncate(fd_, 0) != 0) failed("write", path_);
  return true;
}

void LockFile::belongs_to(pid_t process) const {
  const std::string text = std::to_string(process) + "\n";
  if (ftruncate(fd_, 0) != 0 || pwrite(fd_, text.data(), text.size(), 0) < 0)
    failed("write", path_);
}

void LockFile::remove() {
  unlink(path_.c_str());
}

bool LockFile::is_held() const {
  const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  return file.get() >= 0 && flock(file.get(), LOCK_SH | LOCK_NB) != 0;
}

pid_t LockFile::owner() const {
  const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || flock(file.get(), LOCK_SH | LOCK_NB) == 0) return 0;
  char text[kPidDigitsMax] = {};
  const ssize_t bytes = pread(file.get(), text, sizeof(text), 0);
  pid_t process = 0;
  if (bytes > 0) std::from_chars(text, text + bytes, process);
  return process > 1 ? process : 0;
}

// The process is held by a descriptor before it is looked once more whether it is the owner: from
// then on no other can have its number.
bool LockFile::signal_owner(int signal) const {
  const pid_t process = owner();
  if (process == 0) return false;
  const Descriptor held(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
  if (held.get() < 0 && errno == ESRCH) return false;
  if (owner() != process) return false;
  const long sent = held.get() >= 0 ? syscall(SYS_pidfd_send_signal, held.get(), signal, nullptr, 0)
                                    : kill(process, signal);
  if (sent != 0 && errno != ESRCH) failed("signal the process of", path_);
  return sent == 0;
}

}  // namespace potluck
