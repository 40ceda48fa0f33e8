// ChildProcess: a program that this process has started and that does not outlive it. What it says
// on stdout is read here; what it says on stderr is kept in memory, and no file is left of it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "topology/base/clock.h"

namespace potluck {

// One thread makes all calls; the kernel kills the program when that thread ends, however it does.
class ChildProcess final {
 public:
  // program: a path, or a name that is looked for in PATH. words: its own name, and its arguments.
  // Ctrl-C is not the program's to handle. Throws Fault{world}.
  ChildProcess(const std::string& program, std::vector<std::string> words);
  ~ChildProcess();  // kills it
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // The next line of its stdout; none at the deadline, or when no more comes. Throws
  // Fault{canceled} after an interrupt.
  std::optional<std::string> line(Time deadline);
  // The rest of its stdout until it closes that; none at the deadline, or past so many bytes.
  // Throws as line() does.
  std::optional<std::string> rest(Time deadline, size_t bytes_max);

  // Writes a line to its stdin; false if it reads no more.
  bool say(const std::string& line);
  // From now on its stdin gets an empty line every kPulseSeconds (lifeline.h), until it is closed,
  // and nothing else.
  void send_pulses();
  void close_stdin();
  bool has_ended();
  // Waits for its end until then; false if it has not come.
  bool wait_until(Time deadline);
  int code() const;            // of one that has ended by itself; otherwise -1
  std::string ending() const;  // "ended with code 1", "was killed by signal 9"
  void kill();                 // and waits for its end

  std::string log() const;  // its stderr, the newest kLogBytesMax of it
  // The newest lines of it, and no more than so many bytes.
  std::vector<std::string> last_lines(size_t lines, size_t bytes) const;
  std::string last_words() const;  // a few of them as one, for a fault's line
  void trim_log();  // frees what log() does not show any more; whoever lets it run calls this often

 private:
  enum class Heard { something, nothing, end };
  Heard hear(Time deadline);

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, log_ = -1;
  bool ended_ = false;
  int status_ = 0;
  std::string heard_;  // of stdout, and not read yet
  std::jthread pulse_;
};

inline constexpr size_t kLogBytesMax = 1 << 20;  // of a program's stderr that is kept

}  // namespace potluck
