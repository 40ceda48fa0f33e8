// Starts threads beside the one that has to do with people, to which they leave signals. Throws
// Fault{world} if there can be no further thread.
#pragma once

#include <signal.h>

#include <system_error>
#include <thread>
#include <utility>

#include "topology/base/fault.h"

namespace potluck {

template <typename Body>
std::thread start_without_signals(Body body) {
  sigset_t all, before;
  sigfillset(&all);
  for (int own_fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL}) sigdelset(&all, own_fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  std::error_code failed;
  try {
    thread = std::thread(std::move(body));
  } catch (const std::system_error& error) {
    failed = error.code();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed)
    throw Fault(FaultKind::world, "cannot start a thread: " + failed.message(),
                Fix{"raise the limit of processes (ulimit -u, or a container's pids.max)"});
  return thread;
}

}  // namespace potluck
