// Takes what a transport would take, and gives it back.
#include "transport/zmq/room.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <vector>

#include "topology/base/fault.h"
#include "transport/quiet_thread.h"

namespace potluck {
namespace {

constexpr int kThreads = 3;       // libzmq's two, and that of the links
constexpr int kDescriptors = 32;  // of a context, a listener, two dials, and their monitors

void check_descriptors() {
  std::vector<int> taken;
  int error = 0;
  while (!error && taken.size() < kDescriptors) {
    const int fd = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0)
      taken.push_back(fd);
    else
      error = errno;
  }
  for (int fd : taken) close(fd);
  if (error)
    throw Fault(FaultKind::world,
                "there are not " + std::to_string(kDescriptors) +
                    " descriptors left for links: " + std::strerror(error),
                Fix{"raise the limit (ulimit -n)"});
}

void check_threads() {
  std::promise<void> over;
  const std::shared_future<void> end = over.get_future().share();
  std::vector<std::thread> threads;
  const auto join = [&] {
    over.set_value();
    for (std::thread& thread : threads) thread.join();
  };
  try {
    for (int i = 0; i < kThreads; ++i)
      threads.push_back(start_without_signals([end] { end.wait(); }));
  } catch (const Fault&) {
    join();
    throw;
  }
  join();
}

}  // namespace

void check_room() {
  check_descriptors();
  check_threads();
}

}  // namespace potluck
