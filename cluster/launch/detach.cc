// A fork, and a pipe that carries lines of JSON from the child to its parent.
#include "cluster/launch/detach.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cluster/cli/interrupt.h"
#include "transport/control/control_message.h"

namespace potluck {
namespace {

constexpr int kGlanceMs = 100;  // between looks for an interrupt

[[noreturn]] void failed_to(const char* what) {
  throw Fault(FaultKind::world, std::string("cannot ") + what + ": " + std::strerror(errno));
}

int run_child(int pipe, pid_t parent, const std::string& log,
              const std::function<int(Progress&)>& work) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) return 1;
  setsid();
  std::signal(SIGHUP, SIG_IGN);  // no terminal is ours
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR);
  dup2(nothing, STDIN_FILENO);
  dup2(nothing, STDOUT_FILENO);
  dup2(file < 0 ? nothing : file, STDERR_FILENO);
  Progress progress(pipe);
  try {
    return work(progress);
  } catch (const Fault& fault) {
    progress.failed(fault);
    throw;
  } catch (const std::exception& error) {
    progress.failed(Fault(FaultKind::world, error.what()));
    throw;
  }
}

// Reads what the child says, line by line.
class Listener {
 public:
  explicit Listener(int pipe, pid_t child) : pipe_(pipe), child_(child) {}
  ~Listener() { close(pipe_); }

  // False: it has said that it is ready, or the last that it will say.
  bool turn() {
    pollfd ready{pipe_, POLLIN, 0};
    if (interrupt_signal() && !std::exchange(told_, true)) kill(child_, SIGTERM);
    if (poll(&ready, 1, kGlanceMs) <= 0) return true;
    char buffer[4096];
    const ssize_t n = read(pipe_, buffer, sizeof(buffer));
    if (n <= 0) return false;
    heard_.append(buffer, static_cast<size_t>(n));
    for (size_t end; !ready_ && (end = heard_.find('\n')) != std::string::npos;) {
      take(nlohmann::json::parse(heard_.substr(0, end)));
      heard_.erase(0, end + 1);
    }
    return !ready_;
  }
  bool is_ready() const { return ready_; }
  const std::optional<Fault>& fault() const { return fault_; }

 private:
  void take(const nlohmann::json& said) {
    if (said.contains("line")) spdlog::info(said["line"].get<std::string>());
    if (said.contains("fault")) fault_ = fault_of(said["fault"]);
    if (!said.contains("ready")) return;
    std::puts(said["ready"].get<std::string>().c_str());
    ready_ = true;
  }

  const int pipe_;
  const pid_t child_;
  std::string heard_;
  std::optional<Fault> fault_;
  bool ready_ = false, told_ = false;
};

}  // namespace

Progress::~Progress() {
  if (pipe_ >= 0) close(pipe_);
}

// Whoever listened may be gone; then TERM is on its way to us.
void Progress::say(const std::string& text) {
  if (pipe_ < 0) return;
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = write(pipe_, text.data() + at, text.size() - at);
    if (n < 0 && errno != EINTR) return;
    if (n > 0) at += static_cast<size_t>(n);
  }
}

void Progress::line(const std::string& text) {
  say(nlohmann::json{{"line", text}}.dump(-1, ' ', true) + "\n");
}

void Progress::let_go() {
  prctl(PR_SET_PDEATHSIG, 0);
}

void Progress::ready(const std::string& text) {
  say(nlohmann::json{{"ready", text}}.dump(-1, ' ', true) + "\n");
  if (pipe_ >= 0) close(std::exchange(pipe_, -1));
}

void Progress::failed(const Fault& fault) {
  say(nlohmann::json{{"fault", fault_json(fault)}}.dump(-1, ' ', true) + "\n");
}

int detach(const std::string& log, const std::function<int(Progress&)>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) failed_to("make a pipe");
  std::signal(SIGPIPE, SIG_IGN);
  const pid_t parent = getpid(), child = fork();
  if (child < 0) failed_to("start a process for the background");
  if (child == 0) {
    close(ends[0]);
    return run_child(ends[1], parent, log, work);
  }
  close(ends[1]);
  Listener listener(ends[0], child);
  while (listener.turn()) {
  }
  if (listener.is_ready()) return 0;
  int status = 0;
  waitpid(child, &status, 0);
  if (listener.fault()) throw *listener.fault();
  if (interrupt_signal())
    throw Fault(FaultKind::canceled, "interrupted while the ring was loading");
  throw Fault(FaultKind::world, "the coordinator in the background ended without a word",
              Fix{"see what its machine has to say of it (journalctl, dmesg)"});
}

}  // namespace potluck
