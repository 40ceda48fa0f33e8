// ModelSpec: every number of a DiffusionGemma text model, as its file gives it. Nothing else in
// potluck knows a hidden size, a head count or a canvas length. Symbols as in the papers:
// H = hidden, C = canvas, V = vocabulary, W = sliding window, L = tokens encoded so far.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace potluck {

struct LayerSpec {
  bool full = false;  // full attention; else sliding
  int kv_heads = 0;
  int head_dim = 0;
  bool has_v = true;  // a v projection is stored (sliding layers); else V comes from the raw K
  int64_t q_width(int heads) const { return int64_t{heads} * head_dim; }
  int64_t kv_width() const { return int64_t{kv_heads} * head_dim; }
};

inline constexpr int kLayersMax = 1024;
inline constexpr int kPositionsMax = 1 << 20;  // of a session: what RoPE's angles are exact for
inline constexpr int kStepsMax = 255;          // of a canvas: a step's place in the noise counter

// How answers are made; from generation_config.json or the GGUF's diffusion.* keys.
struct GenerationSpec {
  int max_steps = 48;
  double t_min = 0.4;
  double t_max = 0.8;
  double entropy_bound = 0.1;
  double confidence_threshold = 0.005;
  int stability_threshold = 1;
  std::vector<int32_t> eos_ids = {1, 106, 50};
  int32_t pad_id = 0;
  int32_t bos_id = 2;
  bool add_bos = true;  // before a prompt that is given without the chat format
};

struct ModelSpec {
  std::string name;
  int hidden = 0;
  int intermediate = 0;  // dense MLP and self-conditioning MLP
  int expert_intermediate = 0;
  int experts = 0;
  int experts_used = 0;  // top k
  int heads = 0;
  int vocab = 0;
  int canvas = 0;
  int window = 0;  // W: a query sees W keys including itself when encoding
  int context_max = 0;
  float rms_eps = 1e-6f;
  float softcap = 30.0f;     // of the final logits
  float embed_scale = 0.0f;  // bf16(√H)
  float rope_theta_sliding = 1e4f;
  float rope_theta_full = 1e6f;
  int rope_pairs_full = 0;  // pairs that rotate on full layers: ⌊partial_rotary_factor·head_dim/2⌋
  std::vector<LayerSpec> layers;
  GenerationSpec generation;

  int layer_count() const { return layers.size(); }
};

float embed_scale_of(int hidden);  // bf16(√H): shard/MODEL.md §5

// Throws Fault{input} with the offending field when the numbers contradict each other or a limit.
void validate(const ModelSpec& spec);

}  // namespace potluck
