// Remembers the signal that came, in a handler that does nothing else.
#include "cluster/cli/interrupt.h"

#include <csignal>

namespace potluck {
namespace {

volatile std::sig_atomic_t came = 0;

void remember(int signal) {
  came = signal;
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGQUIT, &action, nullptr);
}

int interrupt_signal() {
  return came;
}

void clear_interrupt() {
  came = 0;
  catch_interrupts();
}

}  // namespace potluck
