// Worker: the state machine of one worker with one device; several may be in one process. It waits
// for a coordinator, loads the part of a plan that it is told to be, and runs data messages one at
// a time, in order of arrival.
//
// It may be loaded again, by the same coordinator with a newer epoch or by the next one. A machine
// is seldom large enough for two parts at once, so the old part is given up before the new one is
// built, but not before everything has been checked that can be (load_check.h). A Load that fails
// such a check leaves the old part at work; one that fails later leaves the worker empty, as it
// was before its first Load. A part that is the same in the new ring keeps its weights.
//
// A worker that is to rest asks its coordinator to do without it, and takes no other until it is
// told to work again.
//
// It takes calls from one coordinator, and once it is loaded, from the worker before it in the same
// ring; it dials the next itself. Whoever says what is not for it to say loses its link.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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
  // Fetches these layers, and the head's tensors if it may, to this machine, and opens the model
  // with them; called for what the model here lacks. None: a part that is not here is refused.
  std::function<std::shared_ptr<const ModelSource>(LayerRange layers, bool head)> fetch;
  // The public keys of coordinators that it takes calls from where links are locked.
  std::vector<std::string> coordinators;
  std::function<void(const std::string& line)> log = [](const std::string&) {};
};

class Worker final : public StateMachine {
 public:
  // source: null where nothing of the model is here, which takes options.fetch.
  Worker(std::shared_ptr<const ModelSource> source, WorkerOptions options);
  ~Worker() override;

  // To give to the transport before listen().
  Identity identity() const;
  bool is_loaded() const { return loaded_ != nullptr; }  // it is a part of a ring
  void rest(bool wish);                                  // obeyed by the next tick()

  Outbox handle(Time now, Event event) override;
  Outbox tick(Time now) override;
  bool idle_work() override { return !queue_.empty() || wish_ != resting_; }

 private:
  struct Queued {
    Message message;
    Time arrived;
  };
  struct Loaded {  // what this worker is in a ring
    RingId ring;
    Plan plan;
    PeerId self = kUnassignedPeer;
    std::string secret;  // of the ring's neighbours
    std::shared_ptr<const ModelSource> source;
    std::unique_ptr<Backend> backend;
    std::unique_ptr<RingRole> role;  // lives on the backend
    Ready ready;
    bool sound = true;  // false once the device has failed, which may still hold what it was given
    bool joining = false, joined = false;
    bool previous_up = false, next_up = false;  // links with the neighbours, in this ring
  };

  void attempt(const Header& about, Outbox& out, const std::function<void()>& work);
  void take(Time now, Event& event, Outbox& out);
  void message(Time now, Event& event, Outbox& out);
  bool may_send(PeerId from, MessageKind kind) const;
  uint64_t payload_bytes_max() const;
  bool is_full(MessageKind kind) const;
  PeerId previous() const;
  void end_link(PeerId peer, const std::string& reason, Outbox& out);
  void coordinator_up(Time now, const Message& message, Outbox& out);
  void coordinator_down(const Event& event, Outbox& out);
  void peer_up(const Event& event, Outbox& out);
  void peer_down(const Event& event);
  void check_place(Time now, Outbox& out);
  void control(const Message& message, Outbox& out);
  void load(const Message& message, Outbox& out);
  void check_order(const Load& order);
  void have_part(const Plan& plan, PeerId self);
  void build(std::unique_ptr<Loaded> next, Outbox& out);
  void keep_part(std::unique_ptr<Loaded> next, Outbox& out);
  void report_ready(std::unique_ptr<Loaded> next, Outbox& out);
  void obey_wish(Outbox& out);
  void check_memory_now(const Loaded& next) const;
  void join(Outbox& out);
  bool is_dialed(PeerId peer) const;
  void report_joined(Outbox& out);
  void cancel(uint64_t session);
  void run(Queued work, Outbox& out);
  void apply_session(Message message, Outbox& out);
  void fail(const Fault& fault, const Header& about, Outbox& out);
  std::unique_ptr<Backend> new_backend(const Plan& plan, PeerId self) const;
  void leave(Outbox& out);
  void leave_neighbours(Outbox& out);
  Message to_coordinator(MessageKind kind, RingId ring) const;
  std::string where() const;

  std::shared_ptr<const ModelSource> source_;
  const WorkerOptions options_;
  Machine machine_;
  bool coordinated_ = false;
  bool wish_ = false, resting_ = false;
  std::optional<Time> idle_since_;  // a coordinator is there, and nothing is loaded
  RingId newest_;                   // of the Loads that this coordinator has sent
  std::unique_ptr<Loaded> loaded_;  // none: not loaded
  std::deque<Queued> queue_;
};

}  // namespace potluck
