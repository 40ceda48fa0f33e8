// A thread of its own reads stdin, because the others may be busy when it ends.
#include "cluster/cli/lifeline.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

namespace potluck {
namespace {

constexpr std::chrono::seconds kGoodbye(3);

// One that has never said a word is not expected to.
bool is_silent(bool has_spoken) {
  pollfd words{STDIN_FILENO, POLLIN, 0};
  return poll(&words, 1, has_spoken ? static_cast<int>(1000 * kStarterSilenceSeconds) : -1) == 0;
}

void watch() {
  char ignored[64];
  for (bool has_spoken = false;;) {
    if (is_silent(has_spoken)) {
      spdlog::warn("the machine that started this has been silent for {} s",
                   kStarterSilenceSeconds);
      break;
    }
    const ssize_t n = read(STDIN_FILENO, ignored, sizeof(ignored));
    if (n == 0 || (n < 0 && errno != EINTR)) break;
    has_spoken = has_spoken || n > 0;
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
