// A thread of its own reads stdin, because the others may be busy when it ends.
#include "cluster/cli/lifeline.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

namespace potluck {
namespace {

constexpr std::chrono::seconds kGoodbye(3);

void watch() {
  char ignored[64];
  for (;;) {
    const ssize_t n = read(STDIN_FILENO, ignored, sizeof(ignored));
    if (n == 0 || (n < 0 && errno != EINTR)) break;
  }
  kill(getpid(), SIGTERM);
  std::this_thread::sleep_for(kGoodbye);
  _exit(128 + SIGTERM);
}

}  // namespace

void end_with_stdin() {
  std::thread(watch).detach();
}

}  // namespace potluck
