// Weights are the tensors of a layer or of the head on a device, with a shape beside each.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/backend.h"
#include "topology/model/model_source.h"

namespace potluck {

// I = intermediate, M = expert_intermediate, N = experts, D = head_dim. Norms are f32 on the
// device.
struct LayerWeights {
  Tensor attn_norm;            // [H]
  Matrix q;                    // [heads·D, H]
  Matrix k;                    // [kv_heads·D, H]
  Matrix v;                    // [kv_heads·D, H]; empty where V comes from the raw K
  Matrix o;                    // [H, heads·D]
  Tensor q_norm, k_norm;       // [D]
  Tensor post_attention_norm;  // [H]
  Tensor ffn_norm;             // [H]
  Matrix gate, up;             // [I, H]
  Matrix down;                 // [H, I]
  Tensor post_ffw_norm_1;      // [H] after the dense branch
  RouterWeights router;
  Tensor pre_ffw_norm_2;   // [H] before the experts
  Matrix experts_gate_up;  // [N, 2·M, H], gate rows first
  Matrix experts_down;     // [N, H, M]
  Tensor post_ffw_norm_2;  // [H] after the experts
  Tensor post_ffw_norm;    // [H] after their sum
  Tensor scale;            // [2] layer scalar: encode, denoise
};

struct HeadWeights {
  Matrix table;     // E [V, H], embedding and LM head
  Tensor norm;      // [H] final
  Tensor pre_norm;  // [H] of self-conditioning
  Matrix gate, up;  // [I, H]
  Matrix down;      // [H, I]
};

// Throw Fault{input} for a missing tensor or one with a value that is not finite, Fault{memory}
// when the device is full.
LayerWeights load_layer(const ModelSource& source, int layer, Backend& backend);
HeadWeights load_head(const ModelSource& source, Backend& backend);

}  // namespace potluck
