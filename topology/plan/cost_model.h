// The only home of size (and later time) formulas.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/base/fault.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"

namespace potluck {

struct MemoryNeed {  // bytes on one worker
  uint64_t weights = 0;
  uint64_t kv = 0;
  uint64_t workspace = 0;  // activations, queues, and what the wire holds
  uint64_t total() const { return weights + kv + workspace; }
};

std::vector<uint64_t> layer_bytes(const ModelSource& source);  // stored bytes of each layer
uint64_t head_bytes(const ModelSource& source);

// KV of one layer for one session. Full layers keep ctx_size positions, sliding ones
// W − 1 + max(chunk, canvas).
int kv_positions(const ModelSpec& spec, const LayerSpec& layer, const Plan& plan);
uint64_t kv_bytes(const ModelSpec& spec, int layer, const Plan& plan);

// What a worker reserves when the plan loads, on whatever it computes: of instruction sets the one
// that takes most. Threads are the plan's, or kThreadsAssumed where it leaves them to the worker.
inline constexpr int kThreadsAssumed = 16;
MemoryNeed stage_need(const ModelSource& source, const Plan& plan, int stage);
MemoryNeed head_need(const ModelSource& source, const Plan& plan);

// Experts [count, rows, columns] as panels that are stored when a model loads: what Precision::fast
// adds to the file's pages, which it then needs no more.
uint64_t panels_bytes(DType type, int64_t count, int64_t rows, int64_t columns);

// Bytes of one canvas crossing a link in the hop's dtype: C·H·bytes.
uint64_t hop_bytes(const ModelSpec& spec, DType hop, int rows);

// Says what the worker has, what it needs and why, and what to do.
Fault memory_refusal(const WorkerPlan& worker, const MemoryNeed& need, uint64_t free);

std::string bytes_text(uint64_t bytes);  // "1.44 MB" (decimal) for people
std::string gib_text(uint64_t bytes);    // "9.3 GiB"

}  // namespace potluck
