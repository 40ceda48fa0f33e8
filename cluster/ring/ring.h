// Ring: a loaded ring and the pipeline over it. Its workers are threads of this process, processes
// of this machine, or others that listen at the plan's endpoints.
//
// Either one request after another is asked, which waits for its result; or an owner submits as
// many as it likes and turns the ring, for one that also listens to others. One thread makes all
// calls, and events are called on it.
//
// A ring that loses workers lives on under another plan, where there is one (cluster_repair.h,
// ring_repair.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/ring/cluster_repair.h"
#include "cluster/ring/hosted_workers.h"
#include "cluster/ring/ring_repair.h"
#include "coordinator/answerer.h"
#include "coordinator/pipeline.h"
#include "topology/model/model_source.h"

namespace potluck {

struct RingSetup {
  HostSetup hosts;
  double step_timeout_seconds = 0;
  bool recovery = true;       // a ring that loses workers lives on
  bool guests_fetch = false;  // workers that come later may lack the model
  // By the devices of this file, where its workers are processes (ClusterRepair); none: by what is
  // left of its plan (RingRepair).
  std::shared_ptr<const ClusterSpec> cluster;
  // A plan of the cluster's is begun by others where a worker is not started or not reached.
  bool may_begin_without = false;
  bool verbose = false;  // logs what each worker has loaded, and at the end the workers' own logs
  std::function<void()> while_loading;  // called again and again until it is loaded; may be none
  std::function<void(const std::string& line)> log = [](const std::string&) {};
  std::function<void(const std::string& line)> warn = [](const std::string&) {};
};

class Ring final : public Answerer {
 public:
  // Starts the plan's local workers, connects and loads all. Throws the first Fault, with the last
  // words of local processes that ended.
  Ring(std::shared_ptr<const ModelSource> source, Plan plan, RingSetup setup);
  ~Ring() override;  // ends the local workers

  // Queues a request, which runs as soon as the plan has a session for it; returns its id. Its
  // events come from turn(), the last of them `finished` or `failed`. Throws as throw_failure().
  uint64_t submit(Request request, RequestEvents events);
  void cancel(uint64_t request) { pipeline_->cancel(request); }
  // Takes in what comes until `deadline`, one event or a tick; false once the ring has failed, and
  // then throw_failure() says how.
  bool turn(Time deadline) override;
  void throw_failure() override;
  // Makes turn() return, now or when it is called next. Any thread.
  void wake() { transport_->wake(); }

  RequestResult ask(Request request, RequestEvents events = {}) override;
  void close_session(uint64_t session) override { pipeline_->close_session(session); }
  const Plan& plan() const override { return plan_; }

  // Does without a worker for good, as soon as nothing is on its way round the ring; it may have no
  // part in it.
  void forget(const std::string& worker) { pipeline_->forget(worker); }

  // Keeps these workers out of the ring until take_back(); `done` is called once: with no words
  // when a ring without them is loaded, or with why there is none, and then they stay as they were.
  // Not before this returns.
  using Drained = std::function<void(const std::string& why_not)>;
  void set_aside(const std::set<std::string>& workers, Drained done);
  void take_back(const std::set<std::string>& workers);

  // Dials a worker that the plan does not have, and takes it in if another plan with it is better.
  void invite(const Candidate& guest) { pipeline_->invite(guest); }

  // Why a worker has no part, or, of one that was to leave, why it still has; empty: it is unknown.
  std::string why_not(const std::string& worker) const { return pipeline_->why_not(worker); }

  // Predicted for a step of the ring as it is; none: nothing is known of its workers' speeds.
  std::optional<double> step_ms() const;

  // Says what each worker has loaded.
  const std::map<PeerId, Ready>& loaded() const { return ready_; }
  std::map<std::string, std::string> logs() const { return hosts_.logs(); }  // by worker

 private:
  void start_workers();
  PipelineEvents pipeline_events();
  RequestEvents request_events();
  Replan replan();
  RequestEvents take(uint64_t request);
  void run_until(const std::function<bool()>& done);
  void trim_logs();
  void invite_found();
  void tell_drained();
  void keep_all(const std::string& why);

  struct Draining {
    std::set<std::string> workers;
    Drained done;
  };

  std::shared_ptr<const ModelSource> source_;
  Plan plan_;
  RingSetup setup_;
  HostedWorkers hosts_;
  RingRepair repair_;
  std::optional<ClusterRepair> cluster_repair_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Pipeline> pipeline_;
  bool loaded_ = false, running_ = true;
  bool changing_ = false;  // another plan is being loaded
  std::string why_kept_;   // those that were to leave this plan, as it was logged
  std::vector<Draining> draining_;
  Time logs_trimmed_{};
  std::map<PeerId, Ready> ready_;
  std::optional<Fault> ring_fault_;
  std::map<uint64_t, RequestEvents> asked_;  // by request
};

}  // namespace potluck
