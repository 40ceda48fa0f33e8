// Sizes of what a plan needs; what each kind of device adds is in needs.h. No formula for a size
// is anywhere else.
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
  uint64_t workspace = 0;  // activations, queues, and what the wire and links by NCCL hold
  uint64_t total() const { return weights + kv + workspace; }
};

std::vector<uint64_t> layer_bytes(const ModelSource& source);  // stored bytes of each layer
uint64_t head_bytes(const ModelSource& source);

// The positions that a session's KV of one layer holds, and the bytes of all sessions' KV. Full
// layers keep ctx_size positions, sliding ones
// W − 1 + max(chunk, canvas).
int kv_positions(const ModelSpec& spec, const LayerSpec& layer, const Plan& plan);
// The fewest tokens that a session may go back to once it has held `most` of them: of fewer its
// sliding layers lack keys that the window still sees.
int least_kept(const ModelSpec& spec, const Plan& plan, int most);
uint64_t kv_bytes(const ModelSpec& spec, int layer, const Plan& plan);

// The bytes that a worker reserves when the plan loads; on a CPU those of the instruction set that
// takes most. Threads are the plan's, or kThreadsAssumed where it leaves them to the worker.
inline constexpr int kThreadsAssumed = 16;
MemoryNeed stage_need(const ModelSource& source, const Plan& plan, int stage);
MemoryNeed head_need(const ModelSource& source, const Plan& plan);

// The bytes of `rows` rows that cross a link in the hop's dtype: rows·H·bytes.
uint64_t hop_bytes(const ModelSpec& spec, DType hop, int rows);

// Says what the worker has, what it needs and why, and what to do.
Fault memory_refusal(const WorkerPlan& worker, const MemoryNeed& need, uint64_t free);

}  // namespace potluck
