// Worker: the state machine of one process with one device. It waits for a coordinator, loads the
// part of a plan it is told to be, and runs data messages one at a time, in order of arrival.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

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
  std::string isa;                // of a fast CPU backend; empty: the best of this machine
  bool pin = false;               // a CPU backend's threads to a core each
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

  void coordinator_up(const Message& hello, Outbox& out);
  void peer_up(const Event& event);
  void check_model(const Hello& hello, const std::string& who) const;
  void peer_down(const Event& event, Outbox& out);
  void control(const Message& message, Outbox& out);
  void load(const Message& message, Outbox& out);
  void check_contents(const Load& load);
  Plan with_my_threads(Plan plan) const;
  void check_memory(const Load& load) const;
  bool dials_next() const;
  bool next_up() const;
  void report_ready(Outbox& out);
  void run(Queued work, Outbox& out);
  void apply_session(Message message, Outbox& out);
  void fail(const Fault& fault, const Header& about, Outbox& out);
  std::unique_ptr<Backend> new_backend() const;
  void reset(Outbox& out);
  bool current(const Header& header) const;
  Message to_coordinator(MessageKind kind) const;
  std::string where() const;

  std::shared_ptr<const ModelSource> source_;
  WorkerOptions options_;
  Digest spec_digest_;
  DeviceInfo device_;
  uint64_t incarnation_ = 0;
  bool coordinated_ = false;
  Plan plan_;
  PeerId self_ = kUnassignedPeer;
  bool ready_sent_ = false;
  Ready ready_;
  std::unique_ptr<Backend> backend_;  // both while a plan is loaded
  std::unique_ptr<RingRole> role_;
  std::map<PeerId, uint64_t> links_;  // ring links that are up → the incarnation they belong to
  std::deque<Queued> queue_;
};

}  // namespace potluck
