// Holds a model's numbers to limits and to each other.
#include "topology/model/model_spec.h"

#include <cmath>

#include "topology/base/dtype.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

// Limits well above any published model; what passes them cannot make a size overflow.
constexpr int64_t kHiddenMax = 1 << 16;
constexpr int64_t kExpertsMax = 4096;
constexpr int64_t kHeadsMax = 64;
constexpr int64_t kVocabMax = 1 << 24;
constexpr int64_t kCanvasMax = 1 << 14;

void check_constant(const char* name, float value, float above) {
  if (!(value > above) || !std::isfinite(value))
    throw Fault(FaultKind::input, std::string(name) + " is " + number_text(value),
                Fix{"it must be finite and above " + number_text(above)});
}

void check_layer(const ModelSpec& spec, int index) {
  const LayerSpec& layer = spec.layers[index];
  const std::string name = "layer " + std::to_string(index) + "'s ";
  check_within(name + "kv_heads", layer.kv_heads, 1, spec.heads);
  check_within(name + "head_dim", layer.head_dim, 2, 1024);
  if (spec.heads % layer.kv_heads)
    throw Fault(FaultKind::input, name + "kv_heads " + std::to_string(layer.kv_heads) +
                                      " do not divide " + std::to_string(spec.heads) + " heads");
  if (layer.head_dim % 2)
    throw Fault(FaultKind::input, name + "head_dim " + std::to_string(layer.head_dim) + " is odd",
                Fix{"RoPE needs pairs"});
  if (layer.full) check_within("rope_pairs_full", spec.rope_pairs_full, 0, layer.head_dim / 2);
}

// They share the number of pairs that rotate.
void check_full_layers(const ModelSpec& spec) {
  int head_dim = 0;
  for (const LayerSpec& layer : spec.layers) {
    if (!layer.full) continue;
    if (head_dim && layer.head_dim != head_dim)
      throw Fault(FaultKind::input,
                  "full layers have heads of " + std::to_string(head_dim) + " and of " +
                      std::to_string(layer.head_dim),
                  Fix{"potluck has one size for all of them"});
    head_dim = layer.head_dim;
  }
}

void check_generation(const GenerationSpec& g, int vocab) {
  check_within("max_denoising_steps", g.max_steps, 1, kStepsMax);
  check_within("stability_threshold", g.stability_threshold, 0, kStepsMax);
  check_within("pad_token_id", g.pad_id, 0, vocab - 1);
  check_within("bos_token_id", g.bos_id, 0, vocab - 1);
  const bool temperatures = g.t_min > 0 && g.t_max >= g.t_min && std::isfinite(g.t_max);
  if (!temperatures || !(g.entropy_bound >= 0) || !(g.confidence_threshold >= 0))
    throw Fault(FaultKind::input,
                "t_min " + number_text(g.t_min) + ", t_max " + number_text(g.t_max) +
                    ", entropy_bound " + number_text(g.entropy_bound) + ", confidence_threshold " +
                    number_text(g.confidence_threshold),
                Fix{"temperatures must be positive and rise, bound and threshold be 0 or more"});
}

}  // namespace

float embed_scale_of(int hidden) {
  return f32_from_bf16(bf16_from_f32(__builtin_sqrt(hidden)));
}

void validate(const ModelSpec& spec) {
  check_within("hidden_size", spec.hidden, 1, kHiddenMax);
  check_within("intermediate_size", spec.intermediate, 1, 4 * kHiddenMax);
  check_within("moe_intermediate_size", spec.expert_intermediate, 1, 4 * kHiddenMax);
  check_within("num_experts", spec.experts, 1, kExpertsMax);
  check_within("top_k_experts", spec.experts_used, 1, spec.experts);
  check_within("num_attention_heads", spec.heads, 1, kHeadsMax);
  check_within("vocab_size", spec.vocab, 2, kVocabMax);
  check_within("canvas_length", spec.canvas, 1, kCanvasMax);
  check_within("sliding_window", spec.window, 1, kPositionsMax);
  check_within("max_position_embeddings", spec.context_max, spec.canvas, kPositionsMax);
  check_within("num_hidden_layers", spec.layer_count(), 1, kLayersMax);
  check_generation(spec.generation, spec.vocab);
  check_constant("rms_norm_eps", spec.rms_eps, 0);
  check_constant("final_logit_softcapping", spec.softcap, 0);
  check_constant("rope_theta of full layers", spec.rope_theta_full, 1);
  check_constant("rope_theta of sliding layers", spec.rope_theta_sliding, 1);
  for (int i = 0; i < spec.layer_count(); ++i) check_layer(spec, i);
  check_full_layers(spec);
}

}  // namespace potluck
