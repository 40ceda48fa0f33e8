// Plans the same cluster otherwise, and says in a few words what differs.
#include "cluster/planning/choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cluster/planning/limits.h"
#include "topology/planner/baselines.h"
#include "topology/planner/cluster_plan.h"

namespace potluck {
namespace {

constexpr double kNetworksMbit[] = {100, 1000, 2500, 10'000, 25'000, 40'000, 100'000};
constexpr double kOfNominal = 0.94;   // TCP reaches so much of a nominal rate
constexpr double kFasterShare = 1.1;  // of a rate: another class, and no other measurement
constexpr double kSameShare = 0.005;  // placements that differ by less are called equal
constexpr size_t kHeadsShown = 2;
// There may be as many of them as hosts and devices, and none is the answer.
constexpr Budget kQuick{40'000, std::nullopt};

int room_beside(const PlanDevice& device, uint64_t taken) {
  if (!device.may_hold_layers) return 0;
  std::vector<uint64_t> bytes = device.layer_bytes;
  std::sort(bytes.begin(), bytes.end());
  uint64_t used = device.stage_bytes + taken;
  int layers = 0;
  for (const uint64_t layer : bytes) {
    used += layer;
    if (used > device.memory_bytes) break;
    ++layers;
  }
  return layers;
}

std::string missing_text(const PlanProblem& problem) {
  const auto may_be_head = [](const PlanDevice& device) { return device.may_be_head; };
  if (std::none_of(problem.devices.begin(), problem.devices.end(), may_be_head))
    return "no device of it may be the head";
  const int room = layers_with_room(problem);
  if (room < problem.layers())
    return fmt::format("it has room for {} of {} layers", room, problem.layers());
  return "its layers cannot be cut to fit";
}

std::string difference_text(const Planned& plan, const PlanProblem& problem,
                            const Placement& other) {
  const double mine = plan.objective.ms(plan.problem, plan.placement);
  const double theirs = plan.objective.ms(problem, other);
  if (other == plan.placement) return "this is the plan";
  if (std::abs(theirs - mine) < kSameShare * mine) return "as fast";
  if (plan.objective.throughput)
    return theirs > mine ? fmt::format("{:.0f} % more time", 100 * (theirs / mine - 1))
                         : fmt::format("{:.0f} % less time", 100 * (1 - theirs / mine));
  const RingTimes a = ring_times(plan.problem, plan.placement), b = ring_times(problem, other);
  return fmt::format("computing {:+.1f}, sending {:+.1f}", b.compute_ms() - a.compute_ms(),
                     b.wire_ms() - a.wire_ms());
}

Choice choice_of(const std::string& name, const Planned& plan, const PlanProblem& problem,
                 const std::optional<Placement>& other) {
  if (!other) return {name, std::nullopt, missing_text(problem)};
  return {name, plan.objective.ms(problem, *other), difference_text(plan, problem, *other)};
}

bool is_better(const Choice& a, const Choice& b) {
  return a.ms && (!b.ms || *a.ms < *b.ms);
}

std::vector<int> devices_off(const PlanProblem& problem, int host) {
  std::vector<int> others;
  for (size_t i = 0; i < problem.devices.size(); ++i)
    if (problem.devices[i].host != host) others.push_back(i);
  return others;
}

double slowest_mbit(const ClusterSpec& cluster) {
  double slowest = cluster.network ? cluster.network->mbit_per_s : 0;
  for (const LinkSpec& link : cluster.links)
    if (slowest == 0 || link.mbit_per_s < slowest) slowest = link.mbit_per_s;
  return slowest;
}

// The nominal rate of the next class; 0: there is none.
double next_network_mbit(double mbit_per_s) {
  for (const double rate : kNetworksMbit)
    if (rate * kOfNominal > mbit_per_s * kFasterShare) return rate;
  return 0;
}

std::string rate_text(double mbit) {
  return mbit < 1000 ? fmt::format("{:g} Mbit/s", mbit) : fmt::format("{:g} Gbit/s", mbit / 1000);
}

std::optional<Choice> faster_network(const Planned& plan) {
  const double nominal = next_network_mbit(slowest_mbit(plan.cluster));
  if (nominal == 0 || plan.cluster.hosts.size() < 2) return std::nullopt;
  const double rate = nominal * kOfNominal;
  ClusterSpec faster = plan.cluster;
  if (faster.network) faster.network->mbit_per_s = std::max(faster.network->mbit_per_s, rate);
  for (LinkSpec& link : faster.links) link.mbit_per_s = std::max(link.mbit_per_s, rate);
  const PlanProblem problem = make_problem(faster, plan.source, {});
  const std::optional<Placement> best = plan.objective.best(problem).placement;
  Choice choice = choice_of("links of " + rate_text(nominal), plan, problem, best);
  if (best && *best == plan.placement) choice.why = "the same ring";
  if (choice.ms && *choice.ms > plan.objective.ms(plan.problem, plan.placement) * (1 - kSameShare))
    choice.why = "hardly faster";
  return choice;
}

Choice more_canvases(const Planned& plan) {
  const int fill = canvases_to_fill(step_ms(plan.problem, plan.placement),
                                    period_ms(plan.problem, plan.placement));
  const int canvases = std::clamp(fill, 2, kCanvasesAtOnceMax);
  ClusterSpec busier = plan.cluster;
  busier.options.canvases = canvases;
  const PlanProblem problem = make_problem(busier, plan.source, {});
  const std::optional<Placement> best = plan_throughput(problem).placement;
  Choice choice{fmt::format("{} answers at once", canvases), std::nullopt, ""};
  if (!best) {
    choice.why = missing_text(problem);
    return choice;
  }
  choice.ms = std::max(period_ms(problem, *best), step_ms(problem, *best) / canvases);
  choice.why = "for all of them together";
  return choice;
}

// The rows' shortest way to a host and back from those that are in a ring.
double round_trip_ms(const PlanProblem& problem, const std::set<int>& ring, int host) {
  double in = 0, out = 0;
  for (const int other : ring) {
    const double there = problem.hops[other][host].ms, back = problem.hops[host][other].ms;
    in = in == 0 ? there : std::min(in, there);
    out = out == 0 ? back : std::min(out, back);
  }
  return in + out;
}

}  // namespace

int layers_with_room(const PlanProblem& problem) {
  int best = 0;
  for (const PlanDevice& head : problem.devices) {
    if (!head.may_be_head || head.head_bytes > head.memory_bytes) continue;
    int layers = 0;
    for (const PlanDevice& device : problem.devices)
      layers += room_beside(device, &device == &head ? head.head_bytes : 0);
    best = std::max(best, layers);
  }
  return std::min(best, problem.layers());
}

std::vector<Choice> hosts_alone(const Planned& plan) {
  std::vector<Choice> all;
  for (size_t host = 0; host < plan.problem.hosts.size(); ++host) {
    const PlanProblem alone = plan.problem.without(devices_off(plan.problem, host));
    all.push_back(choice_of(plan.problem.hosts[host] + " alone", plan, alone,
                            plan.objective.best(alone, {kQuick}).placement));
  }
  std::stable_sort(all.begin(), all.end(), is_better);
  return all;
}

std::vector<Choice> rejected(const Planned& plan) {
  const PlanProblem& problem = plan.problem;
  std::vector<Choice> heads;
  for (size_t i = 0; i < problem.devices.size(); ++i) {
    if (!problem.devices[i].may_be_head || static_cast<int>(i) == plan.placement.head) continue;
    PlanProblem moved = problem;
    moved.head = i;
    heads.push_back(choice_of("head on " + problem.devices[i].name, plan, moved,
                              plan.objective.best(moved, {kQuick}).placement));
  }
  if (!plan.cluster.head.empty())
    for (Choice& choice : heads) choice.why += "; the file says head: " + plan.cluster.head;
  std::stable_sort(heads.begin(), heads.end(), is_better);
  if (heads.size() > kHeadsShown) heads.resize(kHeadsShown);
  std::vector<Choice> all = {
      choice_of("layers cut evenly", plan, problem, place_evenly(problem)),
      choice_of("layers cut by memory", plan, problem, place_by_memory(problem))};
  all.insert(all.end(), heads.begin(), heads.end());
  return all;
}

std::vector<Choice> improved(const Planned& plan) {
  std::vector<Choice> all;
  if (const auto faster = faster_network(plan)) all.push_back(*faster);
  if (!plan.objective.throughput) all.push_back(more_canvases(plan));
  return all;
}

std::vector<std::string> left_out(const Planned& plan) {
  const PlanProblem& problem = plan.problem;
  std::set<int> used = {plan.placement.head}, hosts;
  for (const PlacedStage& stage : plan.placement.stages) used.insert(stage.device);
  for (const int device : used) hosts.insert(problem.devices[device].host);
  std::vector<std::string> all;
  for (size_t i = 0; i < problem.devices.size(); ++i) {
    const PlanDevice& device = problem.devices[i];
    if (used.count(i) || !device.may_hold_layers) continue;
    if (room_beside(device, 0) == 0)
      all.push_back(device.name + " (not one layer fits)");
    else
      all.push_back(fmt::format("{} ({:.1f} ms a layer, {:.1f} ms there and back)", device.name,
                                mean_layer_ms(device), round_trip_ms(problem, hosts, device.host)));
  }
  return all;
}

}  // namespace potluck
