// Makes a plan for workers that are all started here, and says what each needs.
#include "cluster/ring/ring_plan.h"

#include "topology/base/text.h"
#include "topology/model/partial_copy.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/even_partitioner.h"
#include "topology/plan/plan_check.h"

namespace potluck {

void set_stream(Plan& plan, bool f32) {
  plan.stream = f32 ? DType::f32 : DType::bf16;
  plan.kv = f32 ? DType::f32 : DType::f16;
  plan.head.hop_type = plan.stream;
  for (WorkerPlan& stage : plan.stages) stage.hop_type = plan.stream;
}

namespace {

void set_devices(Plan& plan, const std::vector<std::string>& devices) {
  if (devices.empty()) return;
  plan.head.device = devices.front();
  for (size_t i = 0; i < plan.stages.size(); ++i)
    plan.stages[i].device = devices.size() == 1 ? devices.front() : devices[i];
}

// A plan of stages with so many layers each, which have no device yet.
Plan cut_plan(const ModelSource& source, const std::vector<int>& layer_counts,
              const RingOptions& options) {
  Plan plan = plan_local(source.spec(), layer_counts);
  if (options.ctx_size) plan.ctx_size = options.ctx_size;
  if (options.chunk) plan.chunk = options.chunk;
  plan.precision = options.precision;
  set_stream(plan, options.f32);
  return plan;
}

Plan plan_by_size(const ModelSource& source, const RingOptions& options) {
  Plan plan = cut_plan(
      source,
      options.split.empty() ? EvenPartitioner(options.stages).layer_counts(source) : options.split,
      options);
  set_devices(plan, options.devices);
  return plan;
}

// A device that has no layers is no stage, but may have the head.
Plan plan_by_memory(const ModelSource& source, const RingOptions& options) {
  const MemoryPartitioner partitioner(options.rooms, frame_plan(source, options),
                                      options.card_layers);
  const std::vector<int> counts = partitioner.layer_counts(source);
  std::vector<int> used;
  std::vector<std::string> devices;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    used.push_back(counts[i]);
    devices.push_back(options.rooms[i].device);
  }
  Plan plan = cut_plan(source, used, options);
  set_devices(plan, devices);
  plan.head.device = options.rooms[partitioner.head_device(source)].device;
  return plan;
}

}  // namespace

Plan frame_plan(const ModelSource& source, const RingOptions& options) {
  Plan plan = cut_plan(source, {source.spec().layer_count()}, options);
  validate(plan, source.spec());
  return plan;
}

Plan make_plan(const ModelSource& source, const RingOptions& options) {
  const Plan plan =
      options.rooms.empty() ? plan_by_size(source, options) : plan_by_memory(source, options);
  validate(plan, source.spec());
  return plan;
}

Fingerprint fingerprint_of(const ModelSource& source) {
  Fingerprint model;
  model.spec = spec_digest(source);
  model.head = holds_head(source) ? head_digest(source) : 0;
  for (int i = 0; i < source.spec().layer_count(); ++i)
    model.layers.push_back(holds_layer(source, i) ? layer_digest(source, i) : 0);
  return model;
}

std::string ring_text(const Plan& plan) {
  std::string text = plan.head.name;
  for (const WorkerPlan& stage : plan.stages)
    text += ", " + stage.name + " (" + range_text(stage.layers) + ")";
  return text;
}

std::string need_text(const ModelSource& source, const Plan& plan, PeerId worker) {
  const bool head = worker == kHeadPeer;
  const MemoryNeed need =
      head ? head_need(source, plan) : stage_need(source, plan, worker - stage_peer(0));
  const WorkerPlan& me = plan.worker(worker);
  return me.name + (head ? "" : " (layers " + range_text(me.layers) + ")") + ": " +
         bytes_text(need.total()) + " (weights " + bytes_text(need.weights) + ", KV " +
         bytes_text(need.kv) + ", workspace " + bytes_text(need.workspace) + ")";
}

}  // namespace potluck
