#include "topology/cost_model.h"

#include <algorithm>
#include <cstdio>

namespace potluck {
namespace {

uint64_t bytes_of(const ModelSource& source, const std::vector<TensorNeed>& needs) {
  uint64_t total = 0;
  for (const TensorNeed& need : needs)
    if (const TensorInfo* tensor = find_tensor(source, need.name)) total += tensor->bytes;
  return total;
}

uint64_t pass_rows(const ModelSpec& spec, const Plan& plan) {
  return static_cast<uint64_t>(std::max(plan.chunk, spec.canvas));
}

// Messages that may wait at one worker, in and out.
uint64_t wire_bytes(const ModelSpec& spec, const Plan& plan) {
  return 2 * static_cast<uint64_t>(plan.slots) *
         hop_bytes(spec, plan.stream, static_cast<int>(pass_rows(spec, plan)));
}

std::string scaled(double value, const char* unit) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, unit);
  return text;
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

uint64_t kv_bytes(const ModelSpec& spec, int index, const Plan& plan) {
  const LayerSpec& layer = spec.layers[static_cast<size_t>(index)];
  const int64_t values = static_cast<int64_t>(kv_positions(spec, layer, plan)) * layer.kv_width();
  return 2 * row_bytes(plan.kv, values) * static_cast<uint64_t>(plan.sessions);
}

// Activations of one pass: the widths of shard/workspace.h and the experts' gathered rows, in f32.
MemoryNeed stage_need(const ModelSource& source, const Plan& plan, int stage) {
  const ModelSpec& spec = source.spec();
  const LayerRange range = plan.stages[static_cast<size_t>(stage)].layers;
  MemoryNeed need;
  uint64_t width = 0;
  for (int i = range.begin; i < range.end; ++i) {
    const LayerSpec& layer = spec.layers[static_cast<size_t>(i)];
    need.weights += bytes_of(source, layer_tensors(spec, i));
    need.kv += kv_bytes(spec, i, plan);
    width = std::max(width,
                     static_cast<uint64_t>(2 * layer.q_width(spec.heads) + 3 * layer.kv_width()));
  }
  const auto used = static_cast<uint64_t>(spec.experts_used);
  width += 6 * static_cast<uint64_t>(spec.hidden) + 2 * static_cast<uint64_t>(spec.intermediate) +
           used * 2 * static_cast<uint64_t>(spec.hidden + spec.expert_intermediate);
  need.workspace = pass_rows(spec, plan) * width * sizeof(float) + wire_bytes(spec, plan);
  return need;
}

// x, normed, projected, embedding and soft of a pass; two softs a session; a tile of the table.
MemoryNeed head_need(const ModelSource& source, const Plan& plan) {
  const ModelSpec& spec = source.spec();
  constexpr uint64_t kTileRows = 256;
  const auto hidden = static_cast<uint64_t>(spec.hidden);
  const uint64_t rows = pass_rows(spec, plan);
  MemoryNeed need;
  need.weights = head_bytes(source);
  const uint64_t pass =
      rows * (5 * hidden + 2 * static_cast<uint64_t>(spec.intermediate) + kTileRows);
  const uint64_t soft = 2 * static_cast<uint64_t>(plan.sessions * spec.canvas) * hidden;
  need.workspace = (pass + soft + kTileRows * hidden) * sizeof(float) + wire_bytes(spec, plan);
  return need;
}

uint64_t hop_bytes(const ModelSpec& spec, DType hop, int rows) {
  return row_bytes(hop, spec.hidden) * static_cast<uint64_t>(rows);
}

std::string memory_refusal(const WorkerPlan& worker, const MemoryNeed& need, uint64_t free) {
  const bool head = worker.layers.size() == 0;  // it has no layers to give away, and no KV
  return "has " + bytes_text(free) + ", its part needs " + bytes_text(need.total()) + " (weights " +
         bytes_text(need.weights) + " + KV " + bytes_text(need.kv) + " + workspace " +
         bytes_text(need.workspace) + "); " +
         (head ? "give the head to a worker with more memory, or take a smaller file of the model"
               : "give it fewer layers, a smaller --ctx-size, or more memory");
}

std::string bytes_text(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e3) return std::to_string(bytes) + " B";
  if (value < 1e6) return scaled(value / 1e3, "KB");
  return value < 1e9 ? scaled(value / 1e6, "MB") : scaled(value / 1e9, "GB");
}

std::string gib_text(uint64_t bytes) {
  return scaled(static_cast<double>(bytes) / (1024.0 * 1024 * 1024), "GiB");
}

}  // namespace potluck
