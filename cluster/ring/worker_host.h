// WorkerHost: what hosts the workers that this process starts, such as threads of its own, or
// processes of this machine and of others. A host does not decide what carries messages: each
// worker is told an endpoint to listen at, and its scheme says that. Workers that somebody else has
// started (at another machine, or by mpirun) have no host.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "topology/base/clock.h"
#include "transport/transport.h"

namespace potluck {

// Another host, on which a worker is to be started.
struct RemotePlace {
  std::string host;     // as the remote shell takes it: "me@nas"
  std::string program;  // potluck there
  std::string model;    // as -m names it there
  std::string allow;    // this machine's public key, which may coordinate; empty: links are plain
  // Where the worker fetches what its machine lacks of the model, and that one's key; an endpoint
  // that is empty: nowhere.
  Address fetch_from = {};
};

// An order to start one worker. Its layers and limits come later, with the plan.
struct WorkerOrder {
  std::string name, device;
  std::string listen;   // an endpoint; its port may be *, which means any that is free
  int threads = 0;      // 0: as many as the worker likes
  bool ranges = false;  // a card names what it runs for a profiler
  std::string key;      // this machine's, where the plan's links are locked
  std::optional<RemotePlace> remote;  // none: on this machine
  std::string yield;  // when it leaves the device to its owner, as --yield has it; empty: never
};

// starting: it has not said yet where it listens, and may never do.
enum class WorkerState { none, starting, listening, ended };

// Lines that a worker says on stdout when it listens; those behind the first one if it is
// elsewhere.
inline constexpr char kWorkerListening[] = "listening on ";
inline constexpr char kWorkerKey[] = "key ";
inline constexpr char kWorkerSoftware[] = "software ";
inline constexpr char kNoKeyShown[] = "none";  // its links are not locked

// One thread owns it. Its destructor stops the workers.
class WorkerHost {
 public:
  virtual ~WorkerHost() = default;

  // Starts a worker without waiting for it; one of the same name that was started before is ended
  // first. Throws Fault{world}.
  virtual void start(const WorkerOrder& order) = 0;
  // Waits until the worker listens, and returns its endpoint with the real port, and its machine's
  // key if that is another one. Throws Fault{world} with its last words if it ends or stays silent
  // instead, Fault{refused} if it is another potluck, and Fault{canceled} after an interrupt.
  virtual Address endpoint(const std::string& name) = 0;
  // How far a worker of this name is. Waits for nothing.
  virtual WorkerState state(const std::string& name) = 0;
  // How each worker that has failed did so, and the last lines of its log. Waits until `deadline`
  // at most for one to fail, because its links may end before it does; empty if none has.
  virtual std::string last_words(Time deadline) = 0;
  // Each worker's log, its newest part, by the worker's name; none if they write to the log of this
  // process.
  virtual std::map<std::string, std::string> logs() const = 0;
  // Frees what logs() does not show any more; to be called now and then.
  virtual void trim_logs() = 0;
  // Gives the workers a moment to end with their coordinator, then ends them. None is left.
  virtual void stop() = 0;
};

}  // namespace potluck
