// Starts the threads of transports, which leave signals to the owner's threads.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

namespace potluck {

template <typename Body>
std::thread start_without_signals(Body body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace potluck
