// Runs one transformer block of DiffusionGemma (shard/MODEL.md §2.2), one call on each line.
#pragma once

#include "backends/backend.h"
#include "shard/weights.h"
#include "shard/workspace.h"
#include "topology/model/model_spec.h"

namespace potluck {

struct BlockContext {
  const ModelSpec& spec;
  Backend& backend;
  Workspace& w;
  DType stream;
  int rows;  // of this pass
};

AttentionLayer attention_layer(const ModelSpec& spec, int layer);

// w.x → w.x, rounded to the stream dtype; encoded rows' K and V are written to kv.
void forward_block(const BlockContext& c, const LayerWeights& weights, const AttentionLayer& layer,
                   const KvLayer& kv);
// The last layer of an encode: K and V only; w.x is not touched.
void encode_keys_values(const BlockContext& c, const LayerWeights& weights,
                        const AttentionLayer& layer, const KvLayer& kv);

}  // namespace potluck
