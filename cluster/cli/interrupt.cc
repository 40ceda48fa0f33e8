// Remembers the signal that came, in a handler that does nothing else until it comes again.
#include "cluster/cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace potluck {
namespace {

// The handler runs on whichever thread the signal meets.
std::atomic<int> came = 0;
std::atomic<bool> caught[NSIG] = {};
std::atomic<void (*)()> put_back = nullptr;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free &&
              std::atomic<void (*)()>::is_always_lock_free);  // as handlers need

void remember(int signal) {
  came = signal;
  if (!caught[signal].exchange(true)) return;
  if (signal == SIGHUP) return;  // a terminal that closes says so more than once
  if (void (*const last)() = put_back) last();
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // comes when this handler returns
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = remember;
  for (std::atomic<bool>& each : caught) each = false;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGQUIT, &action, nullptr);
  struct sigaction before = {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // as nohup has it
}

void before_sudden_end(void (*function)()) {
  put_back = function;
}

int interrupt_signal() {
  return came;
}

void clear_interrupt() {
  came = 0;
  catch_interrupts();
}

}  // namespace potluck
