// Detach: a process that goes on in the background, and tells the one that started it how it comes
// along until it is ready.
#pragma once

#include <functional>
#include <string>

#include "topology/base/fault.h"

namespace potluck {

// The process in the background says by this how it comes along.
class Progress final {
 public:
  explicit Progress(int pipe) : pipe_(pipe) {}
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void line(const std::string& text);
  // From now on this process outlives the other one.
  void let_go();
  // The other process ends with this, and prints it on stdout.
  void ready(const std::string& text);
  // The other process throws it.
  void failed(const Fault& fault);

 private:
  void say(const std::string& text);

  int pipe_;
};

// Forks. The child, in a session of its own, with stderr at the file `log`, runs `work` and returns
// its exit code; it gets TERM if this process ends before that lets go. The parent shows its lines,
// passes an interrupt on as TERM, and returns when the child is ready; once the child has ended
// instead, it throws the child's Fault. Call it before there are threads.
int detach(const std::string& log, const std::function<int(Progress&)>& work);

}  // namespace potluck
