// Predicts steps of a cluster from its file alone, in JSON: of the planner's ring and of the plain
// rules', and what each device needs. Usage: predict CLUSTER.yaml MODEL
#include <cstdio>
#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/model/locator.h"
#include "topology/planner/baselines.h"
#include "topology/planner/planner.h"

namespace potluck {
namespace {

nlohmann::json ring_json(const PlanProblem& problem, const std::optional<Placement>& placement) {
  if (!placement) return nullptr;
  const RingTimes times = ring_times(problem, *placement);
  nlohmann::json ring = {{"head", problem.devices[placement->head].name},
                         {"step_ms", step_ms(times)},
                         {"compute_ms", times.compute_ms()},
                         {"wire_ms", times.wire_ms()}};
  for (const PlacedStage& stage : placement->stages)
    ring["stages"].push_back(
        {{"device", problem.devices[stage.device].name}, {"layers", range_text(stage.layers)}});
  return ring;
}

nlohmann::json predict(const std::string& file, const std::string& model) {
  const ClusterSpec cluster = read_cluster(file);
  const PlanProblem problem = make_problem(cluster, *open_model(model), {});
  nlohmann::json found;
  for (const PlanDevice& device : problem.devices)
    found["needs"][device.name] = {
        {"layers", device.layer_bytes}, {"stage", device.stage_bytes}, {"head", device.head_bytes}};
  found["planned"] = ring_json(problem, plan_latency(problem).placement);
  found["evenly"] = ring_json(problem, place_evenly(problem));
  found["by_memory"] = ring_json(problem, place_by_memory(problem));
  return found;
}

}  // namespace
}  // namespace potluck

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: predict CLUSTER.yaml MODEL\n");
    return 2;
  }
  try {
    std::printf("%s\n", potluck::predict(argv[1], argv[2]).dump().c_str());
  } catch (const potluck::Fault& fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    return potluck::exit_code(fault.kind());
  }
}
