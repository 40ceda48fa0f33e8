// Remembers the signal that came, in a handler that does nothing else until it comes again.
#include "cluster/cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace potluck {
namespace {

volatile std::sig_atomic_t came = 0;
volatile std::sig_atomic_t caught[NSIG] = {};
std::atomic<void (*)()> put_back = nullptr;

void remember(int signal) {
  came = signal;
  if (!caught[signal] || signal == SIGHUP) {  // a terminal that closes says so more than once
    caught[signal] = 1;
    return;
  }
  if (void (*const last)() = put_back) last();
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // comes when this handler returns
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = remember;
  for (volatile std::sig_atomic_t& each : caught) each = 0;
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
