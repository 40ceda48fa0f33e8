// SleepLock keeps this machine from falling asleep while a worker of it is in a ring. Whoever
// closes the lid or asks for sleep still gets it; the ring then goes on without this machine.
#pragma once

#include <functional>
#include <string>

namespace potluck {

class SleepLock final {
 public:
  // log: gets a line when the machine cannot be kept awake, and why; once.
  explicit SleepLock(std::function<void(const std::string& line)> log) : log_(std::move(log)) {}
  ~SleepLock() { hold(false); }
  SleepLock(const SleepLock&) = delete;
  SleepLock& operator=(const SleepLock&) = delete;

  // Takes the lock or gives it back; nothing happens if that is so already. It waits a moment for
  // logind.
  void hold(bool wanted);

 private:
  const std::function<void(const std::string& line)> log_;
  bool tried_ = false;
  int lock_ = -1;
};

}  // namespace potluck
