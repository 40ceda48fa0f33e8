// Weighs a new placement against the running one.
#include "topology/planner/replan.h"

#include <algorithm>

#include "topology/plan/remaining_plan.h"

namespace potluck {
namespace {

LayerRange layers_of(const Placement& placement, int device) {
  for (const PlacedStage& stage : placement.stages)
    if (stage.device == device) return stage.layers;
  return {};
}

uint64_t bytes_to_get(const PlanProblem& problem, const Placement& from, const Placement& to,
                      int device) {
  const LayerRange had = layers_of(from, device), has = layers_of(to, device);
  uint64_t bytes = to.head == device && from.head != device ? problem.head_stored_bytes : 0;
  for (int layer = has.begin; layer < has.end; ++layer)
    if (!had.contains(layer)) bytes += problem.stored_bytes[layer];
  return bytes;
}

bool loses(const Placement& running, const std::vector<int>& lost) {
  return std::any_of(lost.begin(), lost.end(), [&](int device) {
    return running.head == device || layers_of(running, device).size() > 0;
  });
}

}  // namespace

double moving_ms(const PlanProblem& problem, const Placement& from, const Placement& to,
                 const MovingRates& rates) {
  if (from == to) return 0;
  constexpr double kBytesPerMsOfMb = 1000;  // 1 MB/s
  double slowest = 0;
  for (int device = 0; device < static_cast<int>(problem.devices.size()); ++device) {
    const double bytes = bytes_to_get(problem, from, to, device);
    const double fetch =
        rates.fetch_mb_per_s > 0 ? bytes / (rates.fetch_mb_per_s * kBytesPerMsOfMb) : 0;
    slowest = std::max(slowest, fetch + bytes / (rates.load_mb_per_s * kBytesPerMsOfMb));
  }
  return slowest + encode_ms(ring_times(problem, to), rates.encode_chunks);
}

NextPlacement replan(const PlanProblem& problem, const Placement& running, const ReplanAsk& ask) {
  const PlanAnswer answer = ask.objective.best(problem.without(ask.lost), ask.options);
  NextPlacement next;
  next.ms_before = ask.objective.ms(problem, running);
  if (!answer.placement) return next;
  next.fits = true;
  next.ms = answer.objective_ms;
  next.moving_ms = moving_ms(problem, running, *answer.placement, ask.rates);
  next.proven = answer.proven;
  const double saved = (next.ms_before - next.ms) * ask.steps_left;
  const bool pays = move_pays(next.ms_before, next.ms) && saved > next.moving_ms;
  if (pays || loses(running, ask.lost)) next.placement = answer.placement;
  return next;
}

}  // namespace potluck
