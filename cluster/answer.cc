#include "cluster/answer.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "cluster/in_process_ring.h"
#include "topology/cost_model.h"

namespace potluck {
namespace {

Fingerprint fingerprint_of(const ModelSource& source) {
  Fingerprint model;
  model.spec = spec_digest(source);
  model.head = head_digest(source);
  for (int i = 0; i < source.spec().layer_count(); ++i)
    model.layers.push_back(layer_digest(source, i));
  return model;
}

std::string need_line(const std::string& name, const MemoryNeed& need) {
  return name + ": " + bytes_text(need.total()) + " (weights " + bytes_text(need.weights) +
         ", KV " + bytes_text(need.kv) + ", workspace " + bytes_text(need.workspace) + ")";
}

}  // namespace

Plan make_plan(const ModelSource& source, const RingOptions& options) {
  Plan plan = plan_local(source.spec(), layer_bytes(source), options.stages, options.split);
  if (options.ctx_size) plan.ctx_size = options.ctx_size;
  if (options.chunk) plan.chunk = options.chunk;
  if (options.f32) {
    plan.stream = plan.kv = plan.head.hop = DType::f32;
    for (WorkerPlan& stage : plan.stages) stage.hop = DType::f32;
  }
  validate(plan, source.spec());
  return plan;
}

std::vector<std::string> plan_lines(const ModelSource& source, const Plan& plan) {
  std::vector<std::string> lines = {need_line("head", head_need(source, plan))};
  for (int i = 0; i < plan.stage_count(); ++i) {
    const WorkerPlan& stage = plan.stages[static_cast<size_t>(i)];
    const std::string layers = " (layers " + std::to_string(stage.layers.begin) + ":" +
                               std::to_string(stage.layers.end) + ")";
    lines.push_back(need_line(stage.name + layers, stage_need(source, plan, i)));
  }
  return lines;
}

RequestResult answer(std::shared_ptr<const ModelSource> source, Plan plan, int threads,
                     Request request, PipelineEvents events) {
  InProcessRing ring(source, plan, threads);
  const std::unique_ptr<Transport> transport = ring.coordinator();
  std::optional<RequestResult> result;
  std::optional<Fault> fault;
  Pipeline* ring_pipeline = nullptr;
  events.finished = [&](uint64_t, const RequestResult& done) {
    result = done;
    ring_pipeline->shut_down();
  };
  events.failed = [&](uint64_t, const Fault& broken) {
    if (!fault) fault = broken;
    ring_pipeline->shut_down();
  };
  PipelineOptions options;
  options.incarnation = std::random_device{}() | 1u;
  Pipeline pipeline(source->spec(), plan, fingerprint_of(*source), std::move(events), options);
  ring_pipeline = &pipeline;
  apply(pipeline.start(now()), *transport);
  pipeline.submit(std::move(request));
  run_loop(pipeline, *transport);
  if (fault) throw *fault;
  return *result;
}

}  // namespace potluck
