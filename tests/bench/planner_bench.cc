// Times the planners on families of made-up clusters, and prints tables to paste into results/.
// Usage: planner_bench [INSTANCES]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/topology/planner/random_problem.h"
#include "topology/base/clock.h"
#include "topology/planner/baselines.h"
#include "topology/planner/planner.h"

namespace potluck {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double most(const std::vector<double>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

struct Row {
  std::vector<double> ms, gaps, by_memory, evenly, stages;
  int unproven = 0, none = 0;
};

void measure(const PlanProblem& problem, Row& row) {
  const Time begin = now();
  PlannerOptions options;
  options.budget = {~uint64_t{0}, from_seconds(1)};
  const PlanAnswer answer = plan_latency(problem, options);
  row.ms.push_back(milliseconds(now() - begin));
  if (!answer.placement) {
    ++row.none;
    return;
  }
  if (!answer.proven) ++row.unproven;
  row.gaps.push_back(answer.gap());
  row.stages.push_back(answer.placement->stages.size());
  if (const auto rule = place_by_memory(problem))
    row.by_memory.push_back(step_ms(problem, *rule) / answer.objective_ms);
  if (const auto rule = place_evenly(problem))
    row.evenly.push_back(step_ms(problem, *rule) / answer.objective_ms);
}

void print_family(bool wan, int hosts, double room, int instances) {
  Row row;
  for (int seed = 1; seed <= instances; ++seed)
    measure(family_problem({wan, hosts, room, static_cast<uint64_t>(seed)}), row);
  std::printf(
      "| %s | %d | %.2f | %.0f | %.1f | %.0f | %d | %.1f %% | %.2f (%.1f) | %.2f (%.1f) |\n",
      wan ? "WAN" : "LAN", hosts, room, median(row.stages), median(row.ms), most(row.ms),
      row.unproven, 100 * most(row.gaps), median(row.by_memory), most(row.by_memory),
      median(row.evenly), most(row.evenly));
  std::fflush(stdout);
}

}  // namespace
}  // namespace potluck

int main(int argc, char** argv) {
  const int instances = argc > 1 ? std::atoi(argv[1]) : 20;
  std::printf(
      "| links | devices | room | stages | median ms | worst ms | unproven of %d | worst gap "
      "| by memory / planned (worst) | evenly / planned (worst) |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n",
      instances);
  for (const bool wan : {false, true})
    for (const int hosts : {16, 32})
      for (const double room : {1.0, 0.6, 0.35, 0.2})
        potluck::print_family(wan, hosts, room, instances);
}
