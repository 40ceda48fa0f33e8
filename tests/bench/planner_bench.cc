// Times the planners on families of made-up clusters, and prints tables to paste into results/.
// Usage: planner_bench [INSTANCES]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/topology/planner/random_problem.h"
#include "topology/planner/baselines.h"
#include "topology/planner/planner.h"
#include "topology/planner/pool.h"

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

// This process's own time: other programs share the machine.
double cpu_ms() {
  return 1e3 * std::clock() / CLOCKS_PER_SEC;
}

struct Row {
  std::vector<double> ms, nodes, gaps, by_memory, evenly, stages;
  int unproven = 0, none = 0;
};

void measure(const PlanProblem& problem, Row& row) {
  const double begin = cpu_ms();
  PlannerOptions options;
  const PlanAnswer answer = plan_latency(problem, options);
  row.ms.push_back(cpu_ms() - begin);
  row.nodes.push_back(answer.nodes);
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

void print_family(const Family& family, int instances) {
  Row row;
  for (int seed = 1; seed <= instances; ++seed) {
    Family each = family;
    each.seed = seed;
    measure(family_problem(each), row);
  }
  std::printf(
      "| %s | %d | %.2f | %.0f | %.1f | %.0f | %.0f | %d | %.1f %% | %.2f (%.1f) | %.2f (%.1f) |\n",
      family.wan ? "WAN" : "LAN", family.hosts, family.room, median(row.stages), median(row.ms),
      most(row.ms), most(row.nodes), row.unproven, 100 * most(row.gaps), median(row.by_memory),
      most(row.by_memory), median(row.evenly), most(row.evenly));
  std::fflush(stdout);
}

void print_throughput(const Family& family, int instances) {
  std::vector<double> ms, gaps;
  int unproven = 0;
  for (int seed = 1; seed <= instances; ++seed) {
    Family each = family;
    each.seed = seed;
    const PlanProblem problem = family_problem(each);
    const double begin = cpu_ms();
    const PlanAnswer answer = plan_throughput(problem);
    ms.push_back(cpu_ms() - begin);
    if (!answer.placement) continue;
    gaps.push_back(answer.gap());
    if (!answer.proven) ++unproven;
  }
  std::printf("| %s | %d | %.2f | %.1f | %.0f | %d | %.1f %% | %.1f %% |\n",
              family.wan ? "WAN" : "LAN", family.hosts, family.room, median(ms), most(ms), unproven,
              100 * median(gaps), 100 * most(gaps));
  std::fflush(stdout);
}

void print_pool(const Family& family) {
  const PlanProblem problem = family_problem(family);
  const double begin = cpu_ms();
  const PoolAnswer answer = plan_pool(problem);
  std::printf("| %s | %d | %.2f | %zu | %.1f | %.1f | %.0f %% | %.0f |\n",
              family.wan ? "WAN" : "LAN", family.hosts, family.room, answer.rings.size(),
              answer.steps_per_s, answer.bound_per_s, 100 * answer.gap(), cpu_ms() - begin);
  std::fflush(stdout);
}

template <typename Print>
void each_family(std::initializer_list<int> hosts, const Print& print) {
  for (const bool wan : {false, true})
    for (const int count : hosts)
      for (const double room : {1.0, 0.6, 0.35, 0.2}) print(Family{wan, count, room, 1});
}

}  // namespace
}  // namespace potluck

int main(int argc, char** argv) {
  using potluck::Family;
  const int instances = argc > 1 ? std::atoi(argv[1]) : 20;
  std::printf(
      "Least step, %d clusters a row\n\n"
      "| links | devices | room | stages | median ms | worst ms | most nodes | unproven | "
      "worst gap | by memory / planned (worst) | evenly / planned (worst) |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|\n",
      instances);
  potluck::each_family({16, 32}, [&](const Family& f) { potluck::print_family(f, instances); });
  std::printf(
      "\nLeast period\n\n"
      "| links | devices | room | median ms | worst ms | unproven | median gap | worst gap |\n"
      "|---|---|---|---|---|---|---|---|\n");
  potluck::each_family({16, 32}, [&](const Family& f) { potluck::print_throughput(f, instances); });
  std::printf(
      "\nRings side by side\n\n"
      "| links | devices | room | rings | steps/s | at most | gap | ms |\n"
      "|---|---|---|---|---|---|---|---|\n");
  potluck::each_family({200}, [](const Family& f) { potluck::print_pool(f); });
}
