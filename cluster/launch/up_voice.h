// Words of `up` go into the log, and to the terminal that started it as long as that waits.
#pragma once

#include <mutex>
#include <string>

#include "cluster/launch/detach.h"

namespace potluck {

class UpVoice final {
 public:
  // progress: of an `up` in the background; null: it stays in the foreground.
  explicit UpVoice(Progress* progress) : progress_(progress) {}

  // Any thread: Avahi has one, and what gives the model to workers has another.
  void say(const std::string& text);
  void warn(const std::string& text);

  // `up` outlives the terminal from here on.
  void let_go();
  // The last that the terminal hears. Throws Fault{world} where nobody reads stdout.
  void announce(const std::string& text);

 private:
  std::mutex mutex_;
  Progress* progress_;  // null once it is done
};

}  // namespace potluck
