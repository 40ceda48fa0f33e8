// Limits of descriptors, files that shrink, and the path of the program.
#include "cluster/cli/machine.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "topology/base/fault.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

constexpr rlim_t kDescriptorsMin = 64;     // links take about 30, a model's parts one each
constexpr rlim_t kDescriptorsMax = 65536;  // more than a ring of kMaxStages needs
constexpr int kBroken = 3;
constexpr char kSelf[] = "/proc/self/exe";

void say(const char* text) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, std::strlen(text));
}

void on_bus_error(int, siginfo_t* info, void*) {
  const char* path = mapped_path_at(info->si_addr);
  if (!path) {
    signal(SIGBUS, SIG_DFL);  // and the instruction runs again
    return;
  }
  say("potluck: ");
  say(path);
  say(" changed while it was in use: it is shorter now; start again when nothing writes to it\n");
  _exit(kBroken);
}

}  // namespace

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kDescriptorsMax));
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < kDescriptorsMin)
    throw Fault(FaultKind::world,
                "this process may have " + std::to_string(limit.rlim_cur) +
                    " files and sockets open at a time, and needs " +
                    std::to_string(kDescriptorsMin),
                Fix{"raise the limit (ulimit -n)"});
}

void catch_cut_files() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

std::string own_program() {
  if (access(kSelf, X_OK) == 0) return kSelf;
  return reinterpret_cast<const char*>(getauxval(AT_EXECFN));
}

}  // namespace potluck
