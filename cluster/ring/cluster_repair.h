// ClusterRepair finds another plan for a ring that was started by a cluster file, from the devices
// of that file: it starts lost workers again on their hosts, and where those do not answer, has a
// planner decide who of the others takes their layers, spares among them. What was lost is tried
// again now and then.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/ring/hosted_workers.h"
#include "cluster/ring/ring_repair.h"
#include "coordinator/recovery.h"
#include "topology/cluster/cluster_spec.h"
#include "topology/planner/cluster_replanner.h"

namespace potluck {

struct RepairLog {
  std::function<void(const std::string& line)> say;
  std::function<void(const std::string& line)> warn;
};

class ClusterRepair final {
 public:
  // cluster, hosts, repair: outlive this. repair: has the last resort, and all that concerns
  // workers which are not the cluster's, such as guests.
  ClusterRepair(const ClusterSpec& cluster, std::shared_ptr<const ModelSource> source,
                HostedWorkers& hosts, RingRepair& repair, RepairLog log)
      : cluster_(cluster),
        source_(std::move(source)),
        hosts_(hosts),
        repair_(repair),
        log_(std::move(log)) {}

  // Starts the plan's workers and fills in their endpoints and keys. Where some do not start and
  // another plan may take its place, that plan's, with a warning; else throws why the first does
  // not.
  Plan begin(Plan plan, bool may_be_another);

  // As a Replan (coordinator/recovery.h).
  std::optional<Plan> plan_after(const RingChange& change, WhyNot& why_not);

  // Their devices take no part until take_back(), also those that the plan does not have.
  void set_aside(const std::set<std::string>& workers, const Plan& running);
  void take_back(const std::set<std::string>& workers);

  void is_loaded() { has_run_ = true; }  // for the first time, or again

  // Tries to start lost workers again; returns those that listen, and may be invited.
  std::vector<Candidate> found_again(Time now, const Plan& running);

  // Predicted for a step of the ring; none for workers that are not the cluster's.
  std::optional<double> step_ms(const Plan& plan) const;

 private:
  struct Lost {
    WorkerPlan worker;
    Time next{}, begun{};     // tries
    double wait_seconds = 0;  // between them
    bool is_met = true;       // it was told of since it was started
  };

  void learn_figures(const Plan& plan);
  void note(const RingChange& change);
  bool has_others(const RingChange& change) const;
  std::optional<Plan> better(const RingChange& change, WhyNot& why_not);
  void do_without(const WorkerPlan& worker, bool try_again);
  bool is_alive(const WorkerPlan& worker);
  std::vector<WorkerPlan> alive();
  bool may_start_again(const RingChange& change, const WorkerPlan& worker);
  bool started_again(const RingChange& change, Plan& plan);
  void limit_memory(const RingChange& change);
  Fault too_little_is_left() const;
  Plan remaining(const Plan& running);
  Plan last_resort(const RingChange& change, const Fault& why);
  std::map<std::string, Fault> start_all(Plan& plan);
  std::map<std::string, Fault> start(Plan& plan, const std::vector<PeerId>& peers);
  bool brought_up(Plan& plan);
  void ask_again(Time now, Lost& lost, WorkerState state);

  const ClusterSpec& cluster_;
  const std::shared_ptr<const ModelSource> source_;
  HostedWorkers& hosts_;
  RingRepair& repair_;
  const RepairLog log_;
  std::optional<ClusterReplanner> replanner_;  // none: the file lacks figures
  std::map<std::string, WorkerPlan> there_;    // as they were when they were last heard of
  std::map<std::string, Lost> lost_;           // that may be started again
  std::map<std::string, double> patience_;     // seconds between tries, by worker
  std::map<std::string, bool> aside_;          // whether the plan had a part on their devices
  bool has_run_ = false;
};

}  // namespace potluck
