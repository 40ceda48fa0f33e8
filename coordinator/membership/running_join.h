// RunningJoin: this machine joins one cluster at a time, and another process can ask the one that
// does to leave.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "topology/base/lock_file.h"

namespace potluck {

class RunningJoin final {
 public:
  // Throws Fault{input} if a process of this user has joined already.
  explicit RunningJoin(const std::string& state_folder);
  ~RunningJoin();
  RunningJoin(const RunningJoin&) = delete;
  RunningJoin& operator=(const RunningJoin&) = delete;

 private:
  LockFile lock_;
};

// Asks the process that has joined to leave and waits until it has ended; `waits` is called again
// and again, with how long that has taken. Throws Fault{input} if there is none, and Fault{world}
// if it has not ended after so many seconds.
void leave_running_join(const std::string& state_folder, double seconds,
                        const std::function<void(pid_t process, double waited)>& waits);

}  // namespace potluck
