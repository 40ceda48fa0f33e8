// Counts layers up to the memory, by the cost model's sizes.
#include "cluster/planning/carry.h"

#include <algorithm>

#include "cluster/ring/ring_plan.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

// A ring's plan in which this device is the head, and a stage with the first layers.
Plan plan_with(const DeviceRoom& room, const ModelSpec& spec, int layers) {
  Plan plan;
  plan.ctx_size = std::min(spec.context_max, kContextDefault);
  plan.chunk = std::min(kChunkDefault, plan.ctx_size);
  plan.head.device = room.device;
  plan.stages.resize(1);
  plan.stages[0].device = room.device;
  plan.stages[0].layers = {0, layers};
  set_stream(plan, false);
  return plan;
}

int layers_within(const DeviceRoom& room, const ModelSource& source, uint64_t taken) {
  const ModelSpec& spec = source.spec();
  int layers = 0;
  while (layers < spec.layer_count() &&
         taken + stage_need(source, plan_with(room, spec, layers + 1), 0).total() <= room.bytes())
    ++layers;
  return layers;
}

}  // namespace

Carried carried_by(const DeviceRoom& room, const ModelSource& source) {
  const uint64_t head = head_need(source, plan_with(room, source.spec(), 1)).total();
  Carried carried;
  carried.layers = layers_within(room, source, 0);
  carried.layers_beside_head = head > room.bytes() ? -1 : layers_within(room, source, head);
  return carried;
}

}  // namespace potluck
