// Names the devices that take part, and asks a planner.
#include "topology/planner/cluster_replanner.h"

#include <algorithm>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/cluster/plan_endpoints.h"
#include "topology/plan/remaining_plan.h"

namespace potluck {
namespace {

// A ring that stays is expected to run so many steps: some 50 canvases.
constexpr double kStepsAhead = 1000;
constexpr double kPlanSeconds = 1;  // a ring that stands still waits for no better answer

ClusterSpec with_options_of(const Plan& plan, ClusterSpec cluster) {
  cluster.options.context = plan.ctx_size;
  cluster.options.sessions = cluster.options.canvases = plan.sessions;
  cluster.options.precision = plan.precision;
  return cluster;
}

PlannerOptions planner_options() {
  PlannerOptions options;
  options.budget.time = from_seconds(kPlanSeconds);
  return options;
}

// All but who runs what is as the ring has it.
Plan in_frame_of(const Plan& running, const Plan& made) {
  Plan plan = running;
  const auto with_its_stream = [&](WorkerPlan worker) {
    if (worker.hop_type == made.stream) worker.hop_type = running.stream;
    return worker;
  };
  plan.head = with_its_stream(made.head);
  plan.stages.clear();
  for (const WorkerPlan& stage : made.stages) plan.stages.push_back(with_its_stream(stage));
  return plan;
}

}  // namespace

ClusterReplanner::ClusterReplanner(const ClusterSpec& cluster, const ModelSource& source,
                                   const Plan& plan)
    : cluster_(with_options_of(plan, cluster)), objective_(objective_of(cluster)) {
  try {
    problem_ = make_problem(cluster_, source, {true, {}});
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::input) throw;
    problem_ = make_problem(cluster_, source, {});
    without_spares_ = fault.what();
  }
}

int ClusterReplanner::device_of(const std::string& worker) const {
  const DeviceSpec* device = device_for(cluster_, worker);
  return device ? problem_.device_named(device->name) : -1;
}

void ClusterReplanner::gone(const std::string& worker) {
  if (knows(worker)) away_.insert(device_of(worker));
}

void ClusterReplanner::there(const std::string& worker) {
  away_.erase(device_of(worker));
}

void ClusterReplanner::limit(const std::string& worker, uint64_t bytes) {
  uint64_t& memory = problem_.devices[device_of(worker)].memory_bytes;
  memory = std::min(memory, bytes);
}

std::vector<std::string> ClusterReplanner::away() const {
  std::vector<std::string> names;
  for (const int device : away_) names.push_back(problem_.devices[device].name);
  return names;
}

bool ClusterReplanner::lacks_one() const {
  return std::any_of(away_.begin(), away_.end(), [this](int device) {
    return !device_for(cluster_, problem_.devices[device].name)->spare;
  });
}

std::vector<int> ClusterReplanner::taking_no_part(bool spares_too) const {
  std::set<int> devices = away_;
  for (size_t i = 0; spares_too && i < problem_.devices.size(); ++i)
    if (device_for(cluster_, problem_.devices[i].name)->spare) devices.insert(i);
  return {devices.begin(), devices.end()};
}

// None: some worker of it is of no device of the cluster.
std::optional<Placement> ClusterReplanner::placement_of(const Plan& plan) const {
  Placement placement;
  placement.head = device_of(plan.head.name);
  if (placement.head < 0) return std::nullopt;
  for (const WorkerPlan& stage : plan.stages) {
    if (!knows(stage.name)) return std::nullopt;
    placement.stages.push_back({device_of(stage.name), stage.layers});
  }
  return placement;
}

std::optional<double> ClusterReplanner::step_ms(const Plan& plan) const {
  const std::optional<Placement> placement = placement_of(plan);
  if (!placement) return std::nullopt;
  return potluck::step_ms(problem_, *placement);
}

// Explains why a ring stays as it is.
std::string ClusterReplanner::why_not(const NextPlacement& next) const {
  if (!next.fits) return "no plan with it fits";
  if (next.ms >= next.ms_before) return "no plan with it is faster";
  if (!move_pays(next.ms_before, next.ms))
    return no_gain_text(objective_.throughput ? "each of many steps at once" : "a step",
                        next.ms_before, next.ms);
  return "it would take longer to move than is saved in " +
         count_text(static_cast<size_t>(kStepsAhead), "step");
}

// A ring with workers of no device, or with one that has less memory than was thought, is left for
// any other.
ClusterReplanner::Next ClusterReplanner::next_without(const Plan& running,
                                                      const std::vector<int>& devices,
                                                      bool only_better) const {
  const std::optional<Placement> placement = placement_of(running);
  std::optional<Placement> found;
  Next answer;
  if (placement && (only_better || fits(problem_, *placement))) {
    const MovingRates rates{.encode_chunks = running.ctx_size / running.chunk};
    const NextPlacement next =
        replan(problem_, *placement, {devices, rates, kStepsAhead, planner_options(), objective_});
    answer.possible = next.fits;
    answer.why_not = why_not(next);
    found = next.placement;
  } else {
    found = objective_.best(problem_.without(devices), planner_options()).placement;
    answer.possible = found.has_value();
  }
  if (found && found != placement) answer.plan = in_frame_of(running, plan_of(problem_, *found));
  return answer;
}

ClusterReplanner::Next ClusterReplanner::next(const Plan& running, bool only_better) const {
  Next found = next_without(running, taking_no_part(!lacks_one()), only_better);
  if (!found.possible && !lacks_one())
    found = next_without(running, taking_no_part(false), only_better);
  return found;
}

std::optional<Plan> ClusterReplanner::remaining(const Plan& running) const {
  return next(running, false).plan;
}

std::optional<Plan> ClusterReplanner::better(const Plan& running, std::string& why_not) const {
  Next found = next(running, true);
  why_not = found.why_not;
  return std::move(found.plan);
}

}  // namespace potluck
