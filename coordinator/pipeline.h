// Pipeline: the coordinator's state machine. It brings a ring to life (ring_start.h) and drives
// requests through it: encode the prompt in chunks, denoise canvas after canvas, commit-encode
// between them. As many requests run at once as the plan has sessions; the others wait. Text never
// enters here: ids in, ids and events out. One thread makes all calls.
//
// A ring that loses workers lives on if its owner can give another plan (recovery.h): that one is
// loaded with the next epoch, and every request goes on from its last committed canvas. The ids are
// the same, for noise is a function of its key.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "coordinator/recovery.h"
#include "coordinator/request.h"
#include "coordinator/ring_start.h"
#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"
#include "transport/state_machine.h"

namespace potluck {

struct PipelineEvents {  // called from start(), handle() and tick(), on their thread
  RingStartEvents start;
  RequestEvents requests;
  std::function<void(const Fault&)> ring_failed;  // after `failed` of each request
  // A worker was lost, and requests wait until the ring lives again, or fails after all.
  std::function<void(const Fault&)> ring_disturbed;
  std::function<void(const Plan&)> ring_changed;           // this one is being loaded now
  std::function<void(const std::string& why)> ring_stays;  // a worker was to leave, and cannot
  // One that the plan lacks is there, or is called; each reason is told once.
  std::function<void(const std::string& worker, const std::string& why)> left_out;
};

struct PipelineOptions {
  double step_timeout_seconds = 0;  // 0: max(30 s, 5 × the slowest answer); 1800 s before a first
  double load_timeout_seconds = 600;
  double load_again_seconds = 30;  // parts are loaded anew within that at least
  // Workers elsewhere may have to fetch their part, and then load within that; 0: as all others.
  double fetch_seconds = 0;
  uint64_t incarnation = 0;
  // Workers prove to each other that they know it (transport/proof); empty: they prove nothing.
  std::string ring_secret;
  Replan replan;  // none: a loss is the end of the ring
  // A worker of the first plan that is not reached is done without, too; else its owner is told.
  bool may_begin_without = false;
};

class Pipeline final : public StateMachine {
 public:
  // spec: outlives this.
  Pipeline(const ModelSpec& spec, Fingerprint model, PipelineEvents events,
           PipelineOptions options);
  ~Pipeline() override;

  // Connects and loads the plan's workers. Again, with a newer epoch: a ring that has failed comes
  // to life, or one that runs takes another shape, and what runs goes on in it. Throws Fault{input}
  // for a plan that cannot be.
  Outbox start(Time now, const Plan& plan);
  // These three give orders that the next handle() or tick() obeys.
  // Queues a request; returns its id. It runs when the ring is loaded and a session is free.
  uint64_t submit(Request request);
  void cancel(uint64_t request);
  void close_session(uint64_t session);  // a request that runs in it is canceled
  // Keeps these workers out of every plan until take_back(). Those that the plan has leave at the
  // next moment when nothing is on its way round the ring; running requests rest there as they
  // commit a canvas.
  void set_aside(const std::set<std::string>& workers);
  void take_back(const std::set<std::string>& workers);
  // Does without a worker for good: one that the plan has leaves at such a moment, any other is not
  // dialed again.
  void forget(const std::string& worker);
  // Takes in a worker that the plan does not have, if the next plan has a place for it.
  void invite(const Candidate& guest);
  void shut_down();  // tells the workers and finishes
  // Why a worker has no part, or, of one that was to leave, why it still has; empty: it is unknown.
  std::string why_not(const std::string& worker) const;

  Outbox handle(Time now, Event event) override;
  Outbox tick(Time now) override;
  bool idle_work() override;  // true: there are orders

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace potluck
