// Starts `potluck worker` processes, reads where they listen, and ends them.
#include "cluster/ring/worker_processes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "cluster/cli/interrupt.h"
#include "topology/base/check.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr double kHelloSeconds = 60;    // a model may be mapped from a slow disk
constexpr double kGoodbyeSeconds = 1;   // then a worker is killed
constexpr off_t kLastWordsBytes = 600;  // the most of a log that a fault shows
constexpr char kListening[] = "listening on ";

[[noreturn]] void failed(const char* what) {
  throw Fault(FaultKind::world,
              std::string("cannot start a local worker: ") + what + ": " + std::strerror(errno));
}

// Runs in the child, where only async-signal-safe calls are allowed.
[[noreturn]] void become_worker(const char* program, char* const* arguments, int out, int log,
                                pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it died before we asked
  std::signal(SIGINT, SIG_IGN);       // Ctrl-C is the coordinator's to handle
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(program, arguments);
  const char* const words[] = {"cannot run ", program, ": ", strerrordesc_np(errno)};
  for (const char* word : words)
    if (write(STDERR_FILENO, word, std::strlen(word)) < 0) break;
  _exit(127);
}

std::string ending(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "ended with code " + std::to_string(WEXITSTATUS(status));
}

std::string read_from(int file, off_t first) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = pread(file, buffer, sizeof(buffer), first)) > 0; first += n)
    text.append(buffer, n);
  return text;
}

// The tail of a log as one line.
std::string last_lines(int file) {
  struct stat state = {};
  fstat(file, &state);
  std::string text = read_from(file, std::max<off_t>(0, state.st_size - kLastWordsBytes));
  if (state.st_size > kLastWordsBytes) text.erase(0, text.find('\n') + 1);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (size_t at; (at = text.find('\n')) != std::string::npos;) text.replace(at, 1, " | ");
  return text;
}

}  // namespace

WorkerProcesses::~WorkerProcesses() {
  stop();
  for (const Child& child : children_) {
    close(child.out);
    close(child.log);
  }
}

std::vector<std::string> WorkerProcesses::command_line(const WorkerOrder& order) const {
  std::vector<std::string> words = {"potluck",  "worker",     "--listen", order.listen,
                                    "-m",       setup_.model, "--name",   order.name,
                                    "--device", order.device, "--local"};
  if (order.threads) words.insert(words.end(), {"-t", std::to_string(order.threads)});
  if (order.ranges) words.push_back("--ranges");
  if (setup_.insecure_plaintext) words.push_back("--insecure-plaintext");
  return words;
}

void WorkerProcesses::start(const WorkerOrder& order) {
  std::vector<std::string> words = command_line(order);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) failed("pipe");
  const int log = memfd_create("potluck-worker-log", MFD_CLOEXEC);
  if (log < 0) failed("memfd_create");
  const pid_t parent = getpid(), pid = fork();
  if (pid < 0) failed("fork");
  if (pid == 0) become_worker(setup_.program.c_str(), argv.data(), out[1], log, parent);
  close(out[1]);
  children_.push_back({order.name, pid, out[0], log});
}

std::string WorkerProcesses::endpoint(const std::string& name) {
  const Child& child = find(name);
  const Time deadline = now() + from_seconds(kHelloSeconds);
  std::string line;
  while (line.find('\n') == std::string::npos) {
    pollfd ready{child.out, POLLIN, 0};
    const double left_ms = milliseconds(deadline - now());
    char buffer[512];
    const int polled = left_ms > 0 ? poll(&ready, 1, left_ms) : 0;
    if (interrupt_signal())
      throw Fault(FaultKind::canceled, "interrupted while the workers were starting");
    if (polled < 0 && errno == EINTR) continue;
    const bool readable = polled > 0;
    const ssize_t n = readable ? read(child.out, buffer, sizeof(buffer)) : 0;
    if (n <= 0)
      throw Fault(FaultKind::world,
                  "local worker " + name + " did not start: " +
                      (n == 0 && readable ? last_lines(child.log) : "no word from it within 60 s"));
    line.append(buffer, n);
  }
  CHECK(line.rfind(kListening, 0) == 0, line);
  return line.substr(std::strlen(kListening), line.find('\n') - std::strlen(kListening));
}

std::string WorkerProcesses::last_words(Time deadline) {
  std::string words = words_of_failed();
  while (words.empty() && now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    words = words_of_failed();
  }
  return words;
}

std::string WorkerProcesses::words_of_failed() {
  reap();
  std::string text;
  for (const Child& child : children_) {
    if (!child.ended || child.status == 0) continue;
    const std::string words = last_lines(child.log);
    text += (text.empty() ? "" : "; ") + child.name + " (pid " + std::to_string(child.pid) + ") " +
            ending(child.status) + (words.empty() ? "" : "; its last words: " + words);
  }
  return text;
}

std::string WorkerProcesses::logs() const {
  std::string text;
  for (const Child& child : children_)
    text += "log of " + child.name + ":\n" + read_from(child.log, 0);
  return text;
}

const WorkerProcesses::Child& WorkerProcesses::find(const std::string& name) const {
  const auto found = std::find_if(children_.begin(), children_.end(),
                                  [&](const Child& child) { return child.name == name; });
  CHECK(found != children_.end(), name);
  return *found;
}

void WorkerProcesses::reap() {
  for (Child& child : children_)
    if (!child.ended && waitpid(child.pid, &child.status, WNOHANG) == child.pid) child.ended = true;
}

void WorkerProcesses::stop() {
  const auto alive = [&] {
    reap();
    return std::any_of(children_.begin(), children_.end(), [](const Child& c) { return !c.ended; });
  };
  for (const Time deadline = now() + from_seconds(kGoodbyeSeconds); alive() && now() < deadline;)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  for (Child& child : children_) {
    if (child.ended) continue;
    kill(child.pid, SIGKILL);
    waitpid(child.pid, &child.status, 0);
    child.ended = true;
  }
}

}  // namespace potluck
