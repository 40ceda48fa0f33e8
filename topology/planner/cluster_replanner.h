// ClusterReplanner: the next plan of a ring that runs over the machines of a cluster file, by that
// file's speeds, links and memory. It knows which devices are away; who can be started again, and
// where workers listen, is for others to find out.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "topology/cluster/cluster_spec.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"
#include "topology/planner/objective.h"
#include "topology/planner/placement.h"
#include "topology/planner/replan.h"

namespace potluck {

class ClusterReplanner final {
 public:
  // plan: the ring's; its context, sessions and types are those of all plans that follow. Throws
  // Fault{input} where the file lacks a figure of a device that is no spare.
  ClusterReplanner(const ClusterSpec& cluster, const ModelSource& source, const Plan& plan);

  // Why the file's spares can take no part; empty: they can.
  const std::string& without_spares() const { return without_spares_; }
  bool knows(const std::string& worker) const { return device_of(worker) >= 0; }
  std::vector<std::string> away() const;  // devices that take no part

  // A worker's device takes no part from now on, or may take one again.
  void gone(const std::string& worker);
  void there(const std::string& worker);
  // A worker has said how much memory it has.
  void limit(const std::string& worker, uint64_t bytes);

  // The best plan of the devices that are not away, without endpoints and keys; none: nothing fits.
  // Spares take part while another device is away, and where nothing fits without them.
  std::optional<Plan> remaining(const Plan& running) const;
  // The same, of a ring that lacks nobody; none: it does better as it is, for the reason in
  // `why_not`. One that has a spare which is of no need any more gives it back.
  std::optional<Plan> better(const Plan& running, std::string& why_not) const;

  // Predicted for a step; none: a worker of the plan is of no device of the cluster.
  std::optional<double> step_ms(const Plan& plan) const;

 private:
  int device_of(const std::string& worker) const;  // -1: of no device of the cluster
  bool lacks_one() const;
  std::vector<int> taking_no_part(bool spares_too) const;
  std::optional<Placement> placement_of(const Plan& plan) const;
  struct Next {
    std::optional<Plan> plan;
    bool possible = false;  // a plan fits
    std::string why_not;    // none is better
  };
  Next next(const Plan& running, bool only_better) const;
  Next next_without(const Plan& running, const std::vector<int>& devices, bool only_better) const;
  std::string why_not(const NextPlacement& next) const;

  ClusterSpec cluster_;
  Objective objective_;
  std::string without_spares_;
  PlanProblem problem_;  // spares take part in it
  std::set<int> away_;
};

}  // namespace potluck
