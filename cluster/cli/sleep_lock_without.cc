// Stands in for sleep_lock.cc where the build found no libsystemd.
#include "cluster/cli/sleep_lock.h"

namespace potluck {

void SleepLock::hold(bool wanted) {
  if (!wanted || tried_) return;
  tried_ = true;
  lock_ = -1;
  log_(
      "this machine may fall asleep while it is in a ring (this potluck was built without "
      "libsystemd-dev); see its power settings");
}

}  // namespace potluck
