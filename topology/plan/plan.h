// Plan: who runs which layers, with what memory, over which links. It is written by hand (YAML) or
// made by a Partitioner. The coordinator alone reads YAML; workers get a Plan by wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "topology/base/dtype.h"
#include "topology/model/model_spec.h"

namespace potluck {

struct LayerRange {  // half-open
  int begin = 0;
  int end = 0;
  int size() const { return end - begin; }
  bool contains(int layer) const { return begin <= layer && layer < end; }
  bool operator==(const LayerRange&) const = default;
};

std::string range_text(LayerRange range);  // "0:10"

// Peers of a plan. The coordinator is 0, the head 1, stage k is 2 + k.
using PeerId = uint16_t;
inline constexpr PeerId kCoordinatorPeer = 0;
inline constexpr PeerId kHeadPeer = 1;
inline constexpr PeerId stage_peer(int stage) {
  return 2 + stage;
}
inline constexpr int kMaxStages = 256;
inline constexpr int kThreadsMax = 1024;  // of a worker
inline constexpr int kContextMax = 1 << 20, kSessionsMax = 1024, kSlotsMax = 256;
// In logs, so that no worker has it.
inline constexpr char kCoordinatorName[] = "coordinator";
inline constexpr int kContextDefault = 8192;  // where the model allows it
inline constexpr int kChunkDefault = 256;

// One worker, the head or a stage. Several may share a process, each with its own thread.
struct WorkerPlan {
  std::string name;      // "head", "stage 0", or the user's: "old-1080"
  std::string endpoint;  // where it listens: "tcp://10.0.0.3:7000", "ipc:///…", "inproc://…"
  std::string device = "cpu";    // "cpu", "cuda:0", "hip:0"
  LayerRange layers;             // empty for the head
  int threads = 0;               // 0: the worker's own choice
  uint64_t memory_bytes = 0;     // 0: what the device has
  DType hop_type = DType::bf16;  // of rows that it sends on: the stream's, or q8_0 (lossy)
  bool by_nccl = false;          // those rows go from its card to the next worker's by NCCL
  bool local = false;            // "start: here": the coordinator starts it itself, on its machine
  bool may_be_head = true;       // in a later plan: not everybody may see prompts and answers
  std::string key;  // the public key (key.h) of whoever listens at a TCP endpoint; empty: no lock
};

struct Plan {
  uint32_t epoch = 1;  // the number of the load; messages of an older one are dropped
  WorkerPlan head;
  std::vector<WorkerPlan> stages;  // in ring order; their ranges cover [0, layers) exactly
  DType stream = DType::bf16;      // residual stream, rounded at the end of every layer
  DType kv = DType::f16;  // K and V, rounded before any attention reads them. Both are RMS-normed,
                          // so f16's range holds them, at 8 times bf16's precision
  Precision precision = Precision::fast;
  int ctx_size = 8192;        // tokens a session may hold, prompt and answers, the canvas included
  int sessions = 1;           // KV is reserved for so many
  int chunk = kChunkDefault;  // rows of one encode message at most: the context's, or 256
  int slots = 4;              // unanswered messages of one request at most

  int stage_count() const { return stages.size(); }
  bool has_worker(PeerId peer) const;           // the head or one of the stages
  const WorkerPlan& worker(PeerId peer) const;  // head or a stage; CHECKs
  WorkerPlan& worker(PeerId peer);
  const WorkerPlan& next_of(PeerId peer) const;      // that its rows go to
  const WorkerPlan& previous_of(PeerId peer) const;  // that its rows come from
  std::string name_of(PeerId peer) const;            // "coordinator", or the worker's
  std::optional<PeerId> peer_named(const std::string& name) const;  // none: no worker has that name
};

// Whose card a device is: "cuda" or "hip"; empty for a CPU.
std::string card_vendor(const std::string& device);

// A plan of local stages with so many layers each. Endpoints are left empty. Throws Fault{input}
// if the counts do not add up to the model's layers.
Plan plan_local(const ModelSpec& spec, const std::vector<int>& layer_counts);

}  // namespace potluck
