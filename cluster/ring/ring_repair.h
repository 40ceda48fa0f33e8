// RingRepair finds another plan for a ring that has lost workers and has no cluster file to choose
// from: it starts processes of this machine again, gives layers to neighbours, and in the last
// resort to the CPU of this machine.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/ring/hosted_workers.h"
#include "coordinator/recovery.h"

namespace potluck {

// In a row: a worker that ends each time is done without.
inline constexpr int kStartsAgainMax = 2;

class RingRepair final {
 public:
  // hosts: outlives this.
  RingRepair(std::shared_ptr<const ModelSource> source, HostedWorkers& hosts,
             std::function<void(const std::string& line)> log)
      : source_(std::move(source)), hosts_(hosts), log_(std::move(log)) {}

  // As a Replan (coordinator/recovery.h).
  std::optional<Plan> plan_after(const RingChange& change, WhyNot& why_not);
  // The CPU of this machine takes the parts of those that are lost. Throws `why`, where it had one
  // of them or has no room.
  Plan with_this_cpu(const RingChange& change, const Fault& why);

 private:
  std::vector<Candidate> usable(const RingChange& change) const;
  Plan with_idle_started(Plan plan, const Plan& before);
  std::optional<Plan> started_again(const RingChange& change);

  const std::shared_ptr<const ModelSource> source_;
  HostedWorkers& hosts_;
  const std::function<void(const std::string&)> log_;
};

}  // namespace potluck
