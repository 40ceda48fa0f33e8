// Writes a row for each ring of a front.
#include "cluster/planning/front_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cluster/planning/columns.h"

namespace potluck {
namespace {

constexpr int kUsualSteps = 12;  // of a canvas

std::string placement_text(const PlanProblem& problem, const Placement& placement) {
  std::string text = "head " + problem.devices[placement.head].name;
  for (const PlacedStage& stage : placement.stages)
    text += ", " + problem.devices[stage.device].name + " " + range_text(stage.layers);
  return text;
}

}  // namespace

std::string front_text(const PlanProblem& problem, const std::vector<ParetoPoint>& front,
                       int canvas) {
  std::string text =
      "ms a step  a step every    answers  tokens/s (12 steps)\n"
      "                           at once     one       all  ring\n";
  for (const ParetoPoint& point : front) {
    const std::string figures =
        fmt::format("{:>9.1f} {:>10.1f} ms {:>10} {:>7.1f} {:>9.1f}  ", point.step_ms,
                    point.period_ms, canvases_to_fill(point.step_ms, point.period_ms),
                    tokens_per_s(canvas, kUsualSteps, point.step_ms),
                    tokens_per_s(canvas, kUsualSteps, point.period_ms));
    text += wrapped(
        figures, placement_text(problem, point.placement) + (point.proven ? "" : " (best found)"));
  }
  return text;
}

nlohmann::json front_json(const PlanProblem& problem, const std::vector<ParetoPoint>& front,
                          int canvas) {
  nlohmann::json all = nlohmann::json::array();
  for (const ParetoPoint& point : front)
    all.push_back({{"step_ms", point.step_ms},
                   {"period_ms", point.period_ms},
                   {"canvases", canvases_to_fill(point.step_ms, point.period_ms)},
                   {"tokens_per_s", tokens_per_s(canvas, kUsualSteps, point.step_ms)},
                   {"tokens_per_s_all", tokens_per_s(canvas, kUsualSteps, point.period_ms)},
                   {"proven", point.proven},
                   {"ring", placement_text(problem, point.placement)}});
  return all;
}

}  // namespace potluck
