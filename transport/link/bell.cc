// A bell is an eventfd: a ring adds one to it, and a reader takes all rings at once.
#include "transport/link/bell.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr double kSleepMsMax = 3.6e6;  // fits poll()'s int

int make_event_fd() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    throw Fault(FaultKind::world, std::string("cannot make an eventfd: ") + std::strerror(errno));
  return fd;
}

}  // namespace

Bell::Bell() : fd_(make_event_fd()) {}

Bell::~Bell() {
  close(fd_);
}

void Bell::ring() {
  const uint64_t one = 1;
  const int saved = errno;  // a signal handler must leave it alone
  [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));  // full: it rings already
  errno = saved;
}

void Bell::quiet() {
  uint64_t rung = 0;
  [[maybe_unused]] const ssize_t got = read(fd_, &rung, sizeof(rung));
}

void Bell::sleep(Time deadline) const {
  const double wait_ms = std::clamp(milliseconds(deadline - now()), 0.0, kSleepMsMax);
  pollfd bell{fd_, POLLIN, 0};
  poll(&bell, 1, static_cast<int>(wait_ms) + 1);
}

}  // namespace potluck
