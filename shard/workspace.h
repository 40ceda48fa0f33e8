// Workspace holds the device buffers of a pass, reserved when a plan loads, reused by every layer.
#pragma once

#include "backends/backend.h"
#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"

namespace potluck {

// A pass has at most so many rows: those of an encode chunk or of a canvas.
int pass_rows_max(const ModelSpec& spec, const Plan& plan);

struct Workspace {
  int rows = 0;
  Tensor params;          // StepParams
  Tensor x;               // [rows, H] the residual stream
  Tensor x1;              // [rows, H] after attention
  Tensor normed;          // [rows, H]
  Tensor projected;       // [rows, H] the result of a branch
  Tensor dense, moe;      // [rows, H] the two branches after their own norms
  Tensor q, attended;     // [rows, heads · head_dim]
  Tensor k, v;            // [rows, kv_heads · head_dim]
  Tensor gate, up;        // [rows, intermediate]
  Tensor expert, weight;  // [rows, top k] i32, f32
  KvLayer fresh;          // the canvas' own K and V, [rows, kv_heads · head_dim] in the KV dtype
};

Workspace stage_workspace(const ModelSpec& spec, const Plan& plan, LayerRange layers,
                          Backend& backend);
// The head has x, normed, projected, dense (E[ids]·embed_scale), gate, up and params only.
Workspace head_workspace(const ModelSpec& spec, const Plan& plan, Backend& backend);
uint64_t workspace_bytes(const Workspace& workspace);

}  // namespace potluck
