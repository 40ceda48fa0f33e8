// Runs one pass through a range of layers, one block for each.
#include "shard/stage.h"

#include <algorithm>

#include "shard/block.h"
#include "shard/step_params.h"
#include "topology/plan/cost_model.h"

namespace potluck {

Stage::Stage(const ModelSource& source, const Plan& plan, LayerRange layers, Backend& backend)
    : spec_(source.spec()),
      layers_(layers),
      backend_(backend),
      stream_(plan.stream),
      kv_(spec_, plan, layers, backend),
      workspace_(stage_workspace(spec_, plan, layers, backend)) {
  const std::vector<uint64_t> bytes = layer_bytes(source);
  for (int i = layers.begin; i < layers.end; ++i) {
    weights_.push_back(load_layer(source, i, backend));
    weight_bytes_ += bytes[i];
  }
  backend.reserve({.spec = &spec_,
                   .rows = workspace_.rows,
                   .keys = static_cast<int64_t>(plan.ctx_size) + spec_.canvas,
                   .head = false});
}

void Stage::forward(std::span<const Segment> segments, const LayerTap& tap) {
  const int rows = upload_params(segments, backend_, workspace_);
  const BlockContext context{spec_, backend_, workspace_, stream_, rows};
  const bool encode_only = std::all_of(segments.begin(), segments.end(),
                                       [](const Segment& s) { return s.mode == Mode::encode; });
  for (int i = layers_.begin; i < layers_.end; ++i) {
    const LayerWeights& weights = weights_[i - layers_.begin];
    const AttentionLayer layer = attention_layer(spec_, i);
    if (encode_only && i + 1 == spec_.layer_count())
      encode_keys_values(context, weights, layer, kv_.layer(i));
    else
      forward_block(context, weights, layer, kv_.layer(i));
    if (tap) tap(i, workspace_.x);
  }
}

}  // namespace potluck
