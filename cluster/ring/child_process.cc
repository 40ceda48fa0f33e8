// Starts programs with pipes for stdin and stdout and a file in memory for stderr.
#include "cluster/ring/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <mutex>
#include <utility>

#include "cluster/cli/interrupt.h"
#include "cluster/cli/lifeline.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr std::chrono::milliseconds kGlance(5);  // between looks at whether a program has ended
constexpr int kListenMs = 100;                   // between looks for an interrupt, of any thread
constexpr int kCannotRun = 127;                  // the exit code of a shell for it, too
constexpr size_t kLastLines = 20, kLastWordsBytes = 2000;

[[noreturn]] void failed(const std::string& program, const char* what) {
  throw Fault(FaultKind::world,
              "cannot start " + program + ": " + what + ": " + std::strerror(errno));
}

struct Pipe {
  explicit Pipe(const std::string& program) {
    if (pipe2(ends, O_CLOEXEC) != 0) failed(program, "pipe");
  }
  ~Pipe() {
    for (const int end : ends)
      if (end >= 0) close(end);
  }
  int take(int which) { return std::exchange(ends[which], -1); }
  int ends[2] = {-1, -1};
};

// Runs in the child, where only async-signal-safe calls are allowed.
[[noreturn]] void become(const char* program, char* const* words, const int (&streams)[3],
                         pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it died before we asked
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  for (int i = 0; i < 3; ++i) dup2(streams[i], i);
  execvp(program, words);
  const char* const text[] = {"cannot run ", program, ": ", strerrordesc_np(errno)};
  for (const char* word : text)
    if (write(STDERR_FILENO, word, std::strlen(word)) < 0) break;
  _exit(kCannotRun);
}

// A program that reads nothing any more is not waited for.
void write_pulse(int pipe) {
  pollfd room{pipe, POLLOUT, 0};
  if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) && write(pipe, "\n", 1) < 0) return;
}

// A broken pipe's signal goes to the thread that wrote.
void pulse(const std::stop_token& stop, int pipe) {
  sigset_t broken;
  sigemptyset(&broken);
  sigaddset(&broken, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken, nullptr);
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  do {
    write_pulse(pipe);
    stopped.wait_for(lock, stop, from_seconds(kPulseSeconds), [] { return false; });
  } while (!stop.stop_requested());
}

std::string read_from(int file, off_t first) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = pread(file, buffer, sizeof(buffer), first)) > 0; first += n)
    text.append(buffer, n);
  return text;
}

// The end of a file; whole lines, where there are more bytes than that.
std::string tail(int file, size_t bytes) {
  struct stat state = {};
  fstat(file, &state);
  const auto most = static_cast<off_t>(bytes);
  std::string text = read_from(file, std::max<off_t>(0, state.st_size - most));
  if (state.st_size > most) text.erase(0, text.find('\n') + 1);
  return text;
}

}  // namespace

ChildProcess::ChildProcess(const std::string& program, std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  Pipe in(program), out(program);
  log_ = memfd_create("potluck-log", MFD_CLOEXEC);
  if (log_ < 0) failed(program, "memfd_create");
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) become(program.c_str(), argv.data(), {in.ends[0], out.ends[1], log_}, parent);
  if (pid_ < 0) {
    close(log_);
    failed(program, "fork");
  }
  in_ = in.take(1);
  out_ = out.take(0);
}

ChildProcess::~ChildProcess() {
  kill();
  close_stdin();
  close(out_);
  close(log_);
}

bool ChildProcess::say(const std::string& line) {
  const std::string text = line + "\n";
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = write(in_, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    done += n;
  }
  std::signal(SIGPIPE, before);
  return done == text.size();
}

void ChildProcess::send_pulses() {
  pulse_ = std::jthread(pulse, in_);
}

void ChildProcess::close_stdin() {
  pulse_ = {};
  if (in_ >= 0) close(std::exchange(in_, -1));
}

ChildProcess::Heard ChildProcess::hear(Time deadline) {
  for (;;) {
    pollfd ready{out_, POLLIN, 0};
    const double left_ms = milliseconds(deadline - now());
    const int wait_ms = static_cast<int>(std::min<double>(left_ms + 1, kListenMs));
    const int polled = left_ms > 0 ? poll(&ready, 1, wait_ms) : 0;
    if (interrupt_signal()) throw Fault(FaultKind::canceled, "interrupted");
    if (polled < 0 && errno == EINTR) continue;
    if (polled == 0 && left_ms > 0) continue;
    if (polled <= 0) return Heard::nothing;
    char buffer[4096];
    const ssize_t n = read(out_, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Heard::end;
    heard_.append(buffer, n);
    return Heard::something;
  }
}

std::optional<std::string> ChildProcess::line(Time deadline) {
  size_t end;
  while ((end = heard_.find('\n')) == std::string::npos)
    if (heard_.size() > kLogBytesMax || hear(deadline) != Heard::something) return std::nullopt;
  const std::string line = heard_.substr(0, end);
  heard_.erase(0, end + 1);
  return line;
}

std::optional<std::string> ChildProcess::rest(Time deadline, size_t bytes_max) {
  for (;;) {
    const Heard heard = hear(deadline);
    if (heard == Heard::end) return std::exchange(heard_, {});
    if (heard == Heard::nothing || heard_.size() > bytes_max) return std::nullopt;
  }
}

bool ChildProcess::has_ended() {
  if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
  return ended_;
}

bool ChildProcess::wait_until(Time deadline) {
  while (!has_ended() && now() < deadline) std::this_thread::sleep_for(kGlance);
  return ended_;
}

void ChildProcess::kill() {
  if (has_ended()) return;
  ::kill(pid_, SIGKILL);
  while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  ended_ = true;
}

int ChildProcess::code() const {
  return ended_ && WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
}

std::string ChildProcess::ending() const {
  if (!ended_) return "is running";
  if (WIFSIGNALED(status_)) return "was killed by signal " + std::to_string(WTERMSIG(status_));
  return "ended with code " + std::to_string(WEXITSTATUS(status_));
}

std::string ChildProcess::log() const {
  return tail(log_, kLogBytesMax);
}

std::vector<std::string> ChildProcess::last_lines(size_t lines, size_t bytes) const {
  const std::string text = tail(log_, bytes);
  std::vector<std::string> found;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const size_t stop = end > at && text[end - 1] == '\r' ? end - 1 : end;  // as ssh ends its lines
    if (stop > at) found.push_back(text.substr(at, stop - at));
    at = end + 1;
  }
  if (found.size() > lines) found.erase(found.begin(), found.end() - static_cast<long>(lines));
  return found;
}

std::string ChildProcess::last_words() const {
  return fmt::format("{}", fmt::join(last_lines(kLastLines, kLastWordsBytes), " | "));
}

void ChildProcess::trim_log() {
  struct stat state = {};
  fstat(log_, &state);
  const off_t shown = state.st_size - static_cast<off_t>(kLogBytesMax);
  if (shown > 0) fallocate(log_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, shown);
}

}  // namespace potluck
