// Sizes of layers, KV, activations and messages.
#include "topology/plan/cost_model.h"

#include <algorithm>

#include "topology/base/text.h"
#include "topology/model/tensor_table.h"
#include "topology/plan/gpu_needs.h"
#include "topology/plan/needs.h"

namespace potluck {
namespace {

uint64_t bytes_of(const ModelSource& source, const std::vector<TensorNeed>& needs) {
  uint64_t total = 0;
  for (const TensorNeed& need : needs)
    if (const TensorInfo* tensor = find_tensor(source, need.name)) total += tensor->bytes;
  return total;
}

// A tensor as a worker holds it: vectors as f32, and matrices as its device lays them out.
uint64_t loaded_bytes(const TensorInfo& tensor, const TensorRow& row, const Plan& plan,
                      const DeviceNeeds& device) {
  const std::vector<int64_t>& shape = tensor.shape;
  if (shape.size() == 1) return tensor.elements() * sizeof(float);
  if (row.owner == Owner::head && device.keeps_head) return tensor.bytes;
  return device.matrix(plan.precision, tensor.type, shape.size() == 3 ? shape[0] : 1,
                       shape[shape.size() - 2], shape.back());
}

uint64_t loaded_bytes(const ModelSource& source, const std::vector<TensorNeed>& needs,
                      const Plan& plan, const DeviceNeeds& device) {
  uint64_t total = 0;
  for (const TensorNeed& need : needs)
    if (const TensorInfo* tensor = find_tensor(source, need.name))
      total += loaded_bytes(*tensor, *need.row, plan, device);
  return total;
}

// The most bytes that lie beside the loaded ones while tensors load: those of one that is joined
// out of pieces.
uint64_t joined_bytes_max(const ModelSource& source, const std::vector<TensorNeed>& needs) {
  uint64_t most = 0;
  for (const TensorNeed& need : needs)
    if (const TensorInfo* tensor = find_tensor(source, need.name))
      if (!tensor->stretches.empty()) most = std::max(most, tensor->bytes);
  return most;
}

uint64_t pass_rows(const ModelSpec& spec, const Plan& plan) {
  return std::max(plan.chunk, spec.canvas);
}

// StepParams, ids, candidates, positions, and what single allocations round up.
constexpr uint64_t kSmallBytes = 64 << 10;

ScratchShape scratch_of(const ModelSpec& spec, const Plan& plan, const WorkerPlan& worker) {
  return {plan.precision, pass_rows(spec, plan),
          static_cast<uint64_t>(worker.threads ? worker.threads : kThreadsAssumed),
          static_cast<uint64_t>(plan.ctx_size + spec.canvas)};
}

// The messages that may wait at one worker, in and out.
uint64_t wire_bytes(const ModelSpec& spec, const Plan& plan) {
  return 2 * static_cast<uint64_t>(plan.slots) *
         hop_bytes(spec, plan.stream, pass_rows(spec, plan));
}

// NCCL takes so much of a worker's card.
uint64_t link_bytes(const Plan& plan, PeerId peer) {
  return nccl_bytes(plan.worker(peer).by_nccl, plan.previous_of(peer).by_nccl);
}

}  // namespace

std::vector<uint64_t> layer_bytes(const ModelSource& source) {
  std::vector<uint64_t> bytes;
  for (int i = 0; i < source.spec().layer_count(); ++i)
    bytes.push_back(bytes_of(source, layer_tensors(source.spec(), i)));
  return bytes;
}

uint64_t head_bytes(const ModelSource& source) {
  return bytes_of(source, head_tensors(source.spec()));
}

int kv_positions(const ModelSpec& spec, const LayerSpec& layer, const Plan& plan) {
  if (layer.full) return plan.ctx_size;
  return std::min(plan.ctx_size, spec.window - 1 + static_cast<int>(pass_rows(spec, plan)));
}

int least_kept(const ModelSpec& spec, const Plan& plan, int most) {
  const int capacity = kv_positions(spec, LayerSpec{}, plan);
  return most <= capacity ? 0 : most - capacity + spec.window - 1;
}

uint64_t kv_bytes(const ModelSpec& spec, int index, const Plan& plan) {
  const LayerSpec& layer = spec.layers[index];
  const int64_t values = kv_positions(spec, layer, plan) * layer.kv_width();
  return 2 * row_bytes(plan.kv, values) * plan.sessions;
}

// The workspace holds the activations of one pass, as shard/workspace.h lists them, and the largest
// operation's scratch.
MemoryNeed stage_need(const ModelSource& source, const Plan& plan, int stage) {
  const ModelSpec& spec = source.spec();
  const WorkerPlan& worker = plan.stages[stage];
  const DeviceNeeds& device = device_needs(worker.device);
  MemoryNeed need;
  uint64_t q = 0, kv = 0, joined = 0;
  for (int i = worker.layers.begin; i < worker.layers.end; ++i) {
    const LayerSpec& layer = spec.layers[i];
    const std::vector<TensorNeed> tensors = layer_tensors(spec, i);
    need.weights += loaded_bytes(source, tensors, plan, device);
    joined = std::max(joined, joined_bytes_max(source, tensors));
    need.kv += kv_bytes(spec, i, plan);
    q = std::max<uint64_t>(q, layer.q_width(spec.heads));
    kv = std::max<uint64_t>(kv, layer.kv_width());
  }
  const uint64_t rows = pass_rows(spec, plan);
  const uint64_t width = 2 * (q + kv) + 6 * static_cast<uint64_t>(spec.hidden) +
                         2 * static_cast<uint64_t>(spec.intermediate + spec.experts_used);
  const uint64_t fresh = 2 * row_bytes(plan.kv, rows * kv);
  need.workspace = rows * width * sizeof(float) + fresh + kSmallBytes +
                   device.stage_scratch(spec, scratch_of(spec, plan, worker)) +
                   wire_bytes(spec, plan) + link_bytes(plan, stage_peer(stage)) + joined;
  return need;
}

// The workspace holds x, normed, projected, embedding and soft embedding of a pass, zeros for the
// soft embeddings that a batch lacks, and two of them a session.
MemoryNeed head_need(const ModelSource& source, const Plan& plan) {
  const ModelSpec& spec = source.spec();
  const uint64_t hidden = spec.hidden;
  MemoryNeed need;
  const DeviceNeeds& device = device_needs(plan.head.device);
  need.weights = loaded_bytes(source, head_tensors(spec), plan, device);
  const uint64_t pass =
      pass_rows(spec, plan) * (6 * hidden + 2 * static_cast<uint64_t>(spec.intermediate));
  const uint64_t soft = 2 * static_cast<uint64_t>(plan.sessions * spec.canvas) * hidden;
  need.workspace = (pass + soft) * sizeof(float) + kSmallBytes +
                   device.head_scratch(spec, scratch_of(spec, plan, plan.head)) +
                   wire_bytes(spec, plan) + link_bytes(plan, kHeadPeer);
  return need;
}

uint64_t hop_bytes(const ModelSpec& spec, DType hop, int rows) {
  return row_bytes(hop, spec.hidden) * rows;
}

Fault memory_refusal(const WorkerPlan& worker, const MemoryNeed& need, uint64_t free) {
  const bool head = worker.layers.size() == 0;  // it has no layers to give away, and no KV
  return Fault(
      FaultKind::memory,
      "has " + bytes_text(free) + ", its part needs " + bytes_text(need.total()) + " (weights " +
          bytes_text(need.weights) + " + KV " + bytes_text(need.kv) + " + workspace " +
          bytes_text(need.workspace) + ")",
      head ? Fix{"give the head to a worker with more memory, or take a smaller file of the model"}
           : Fix{"give it fewer layers, more memory, or a smaller context", Setting::context});
}

}  // namespace potluck
