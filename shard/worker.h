// Worker: the state machine of one worker with one device; several may be in one process. It waits
// for a coordinator, loads the part of a plan that it is told to be, and runs data messages one at
// a time, in order of arrival.
//
// It may be loaded again, by the same coordinator with a newer epoch or by the next one. A machine
// is seldom large enough for two parts at once, so the old part is given up before the new one is
// built, but not before everything has been checked that can be (load_check.h). A Load that fails
// such a check leaves the old part at work; one that fails later leaves the worker empty, as it
// was before its first Load.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "shard/load_check.h"
#include "shard/ring_role.h"
#include "topology/model/model_source.h"
#include "transport/state_machine.h"

namespace potluck {

struct WorkerOptions {
  std::string name;
  std::string device = "cpu";
  int threads = 0;                // 0: what the plan says, else one for each core allowed
  uint64_t memory_bytes = 0;      // 0: what the device has free
  bool exit_on_shutdown = false;  // a local worker ends with its coordinator
  // For a CPU backend, which alone reads them (cpu_options.h).
  std::string isa;   // of fast products; empty: the best of this machine
  bool pin = false;  // each thread to a core of its own
  // For a card, which alone reads it: names what it runs for a profiler.
  bool ranges = false;
  std::function<void(const std::string& line)> log = [](const std::string&) {};
};

class Worker final : public StateMachine {
 public:
  Worker(std::shared_ptr<const ModelSource> source, WorkerOptions options);
  ~Worker() override;

  // To give to the transport before listen().
  Identity identity() const;

  Outbox handle(Time now, Event event) override;
  Outbox tick(Time now) override;
  bool idle_work() override { return !queue_.empty(); }

 private:
  struct Queued {
    Message message;
    Time arrived;
  };
  struct Loaded {  // what this worker is in a ring
    RingId ring;
    Plan plan;
    PeerId self = kUnassignedPeer;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<RingRole> role;  // lives on the backend
    Ready ready;
    bool joining = false, joined = false;
  };

  void message(Time now, Event& event, Outbox& out);
  void coordinator_up(const Message& message, Outbox& out);
  void coordinator_down(const Event& event, Outbox& out);
  void peer_up(const Event& event, Outbox& out);
  void peer_down(const Event& event);
  void check_model(const Hello& hello, const std::string& who) const;
  void control(const Message& message, Outbox& out);
  void load(const Message& message, Outbox& out);
  void build(std::unique_ptr<Loaded> next, Outbox& out);
  void check_memory_now(const Loaded& next) const;
  void join(Outbox& out);
  bool dials_next() const;
  void report_joined(Outbox& out);
  void cancel(uint64_t session);
  void run(Queued work, Outbox& out);
  void apply_session(Message message, Outbox& out);
  void fail(const Fault& fault, const Header& about, Outbox& out);
  std::unique_ptr<Backend> new_backend(const Plan& plan, PeerId self) const;
  void leave(RingId next, Outbox& out);
  Message to_coordinator(MessageKind kind, RingId ring) const;
  std::string where() const;

  const std::shared_ptr<const ModelSource> source_;
  WorkerOptions options_;
  const Digest spec_digest_;
  Machine machine_;
  bool coordinated_ = false;
  RingId newest_;                   // of the Loads that this coordinator has sent
  std::unique_ptr<Loaded> loaded_;  // none: not loaded
  std::map<PeerId, RingId> links_;  // to peers that are up, and the ring that each belongs to
  std::deque<Queued> queue_;
};

}  // namespace potluck
