// Bell: lets one thread sleep until another thread, or a signal handler, has something for it.
#pragma once

#include "topology/base/clock.h"

namespace potluck {

class Bell final {
 public:
  Bell();
  ~Bell();
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  void ring();                      // any thread, and signal handlers
  void quiet();                     // forgets the rings so far
  void sleep(Time deadline) const;  // until somebody rings; may return earlier
  int fd() const { return fd_; }    // readable while it rings, to wait for other things as well

 private:
  const int fd_;
};

}  // namespace potluck
