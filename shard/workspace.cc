// Sizes and allocates the buffers of a pass.
#include "shard/workspace.h"

#include <algorithm>

namespace potluck {
namespace {

struct Widths {
  int64_t q = 0, kv = 0;
};

Widths widest(const ModelSpec& spec, LayerRange layers) {
  Widths widths;
  for (int i = layers.begin; i < layers.end; ++i) {
    widths.q = std::max<int64_t>(widths.q, spec.layers[i].q_width(spec.heads));
    widths.kv = std::max<int64_t>(widths.kv, spec.layers[i].kv_width());
  }
  return widths;
}

Tensor floats(Backend& backend, int64_t rows, int64_t n) {
  return backend.allocate(rows * n * sizeof(float));
}

// The buffers that head and stage both need.
Workspace common_workspace(const ModelSpec& spec, const Plan& plan, Backend& backend) {
  Workspace w;
  w.rows = pass_rows_max(spec, plan);
  w.params = backend.allocate(sizeof(StepParams));
  for (Tensor* tensor : {&w.x, &w.normed, &w.projected, &w.dense})
    *tensor = floats(backend, w.rows, spec.hidden);
  w.gate = floats(backend, w.rows, spec.intermediate);
  w.up = floats(backend, w.rows, spec.intermediate);
  return w;
}

}  // namespace

int pass_rows_max(const ModelSpec& spec, const Plan& plan) {
  return std::max(plan.chunk, spec.canvas);
}

Workspace stage_workspace(const ModelSpec& spec, const Plan& plan, LayerRange layers,
                          Backend& backend) {
  Workspace w = common_workspace(spec, plan, backend);
  const Widths widths = widest(spec, layers);
  w.x1 = floats(backend, w.rows, spec.hidden);
  w.moe = floats(backend, w.rows, spec.hidden);
  w.q = floats(backend, w.rows, widths.q);
  w.attended = floats(backend, w.rows, widths.q);
  w.k = floats(backend, w.rows, widths.kv);
  w.v = floats(backend, w.rows, widths.kv);
  w.expert = floats(backend, w.rows, spec.experts_used);
  w.weight = floats(backend, w.rows, spec.experts_used);
  w.fresh.capacity = w.rows;
  w.fresh.type = plan.kv;
  const size_t fresh_bytes = row_bytes(plan.kv, w.rows * widths.kv);
  w.fresh.k = backend.allocate(fresh_bytes);
  w.fresh.v = backend.allocate(fresh_bytes);
  return w;
}

Workspace head_workspace(const ModelSpec& spec, const Plan& plan, Backend& backend) {
  return common_workspace(spec, plan, backend);
}

uint64_t workspace_bytes(const Workspace& w) {
  uint64_t bytes = 0;
  for (const Tensor* tensor :
       {&w.params, &w.x, &w.x1, &w.normed, &w.projected, &w.dense, &w.moe, &w.q, &w.attended, &w.k,
        &w.v, &w.gate, &w.up, &w.expert, &w.weight, &w.fresh.k, &w.fresh.v})
    bytes += tensor->bytes;
  return bytes;
}

}  // namespace potluck
