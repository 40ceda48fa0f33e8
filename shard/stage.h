// Stage holds a range of layers on one device, with the KV of many sessions, and runs passes over
// them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "shard/kv_cache.h"
#include "shard/weights.h"
#include "shard/workspace.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"

namespace potluck {

class Stage final {
 public:
  // Loads the range's tensors and reserves KV and workspace. Throws Fault{memory | input | world}.
  Stage(const ModelSource& source, const Plan& plan, LayerRange layers, Backend& backend);

  // Runs x (workspace.x, [rows, H] f32, rounded to the stream dtype) through the layers; the result
  // is in workspace.x again. Encoded rows append to their sessions' KV (the caller advances the
  // lengths). tap, if given, is called after each layer is enqueued, with its result (verify).
  using LayerTap = std::function<void(int layer, Tensor x)>;
  void forward(std::span<const Segment> segments, const LayerTap& tap = nullptr);

  KvCache& kv() { return kv_; }
  const KvCache& kv() const { return kv_; }
  Workspace& workspace() { return workspace_; }
  const Workspace& workspace() const { return workspace_; }
  LayerRange layers() const { return layers_; }
  uint64_t weight_bytes() const { return weight_bytes_; }

 private:
  const ModelSpec& spec_;
  LayerRange layers_;
  Backend& backend_;
  DType stream_;
  std::vector<LayerWeights> weights_;
  KvCache kv_;
  Workspace workspace_;
  uint64_t weight_bytes_ = 0;
};

}  // namespace potluck
