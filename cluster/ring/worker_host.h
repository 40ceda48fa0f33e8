// WorkerHost: what hosts the workers that this process starts, such as threads of its own or
// processes of this machine. A host does not decide what carries messages: each worker is told an
// endpoint to listen at, and its scheme says that. Workers that somebody else has started (at
// another machine, or by mpirun) have no host.
#pragma once

#include <string>

#include "topology/base/clock.h"

namespace potluck {

// An order to start one worker. Its layers and limits come later, with the plan.
struct WorkerOrder {
  std::string name, device;
  std::string listen;   // an endpoint; its port may be *, which means any that is free
  int threads = 0;      // 0: as many as the worker likes
  bool ranges = false;  // a card names what it runs for a profiler
  std::string key;      // this machine's, where the plan's links are locked
};

// One thread owns it. Its destructor stops the workers.
class WorkerHost {
 public:
  virtual ~WorkerHost() = default;

  // Starts a worker without waiting for it; one of the same name that was started before is ended
  // first. Throws Fault{world}.
  virtual void start(const WorkerOrder& order) = 0;
  // Waits until the worker listens, and returns its endpoint with the real port. Throws
  // Fault{world} with its last words if it ends or stays silent instead, and Fault{canceled} after
  // an interrupt.
  virtual std::string endpoint(const std::string& name) = 0;
  // How each worker that has failed did so, and the last lines of its log. Waits until `deadline`
  // at most for one to fail, because its links may end before it does; empty if none has.
  virtual std::string last_words(Time deadline) = 0;
  // The whole log of each worker under its name; empty if they write to the log of this process.
  virtual std::string logs() const = 0;
  // Gives the workers a moment to end with their coordinator, then ends them. None is left.
  virtual void stop() = 0;
};

}  // namespace potluck
