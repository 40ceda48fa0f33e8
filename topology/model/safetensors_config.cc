// Reads a model's numbers from a checkpoint's JSON files.
#include "topology/model/safetensors_config.h"

#include <filesystem>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/json_text.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

constexpr int kPublishedRotaryShare = 8;  // head_dim / 8 pairs: partial_rotary_factor 0.25

GenerationSpec read_generation(const std::string& path) {
  GenerationSpec g;
  if (!std::filesystem::exists(path)) return g;
  const nlohmann::json root = parse_json(read_text_file(path, kJsonBytesMax), path);
  const JsonFields fields(root, path);
  g.max_steps = fields.integer_or("max_denoising_steps", g.max_steps);
  g.t_min = fields.number_or("t_min", g.t_min);
  g.t_max = fields.number_or("t_max", g.t_max);
  g.stability_threshold = fields.integer_or("stability_threshold", g.stability_threshold);
  g.confidence_threshold = fields.number_or("confidence_threshold", g.confidence_threshold);
  if (fields.has("sampler_config"))
    g.entropy_bound = fields.object("sampler_config").number_or("entropy_bound", g.entropy_bound);
  g.pad_id = fields.integer_or("pad_token_id", g.pad_id);
  g.bos_id = fields.integer_or("bos_token_id", g.bos_id);
  if (fields.has("eos_token_id")) g.eos_ids = fields.integers("eos_token_id");
  return g;
}

void read_layers(const JsonFields& text, ModelSpec& spec) {
  const int kv = text.integer("num_key_value_heads"), dim = text.integer("head_dim");
  const int full_kv = text.integer_or("num_global_key_value_heads", kv);
  const int full_dim = text.integer_or("global_head_dim", dim);
  for (const std::string& type : text.texts("layer_types")) {
    const bool full = type == "full_attention";
    if (!full && type != "sliding_attention")
      text.refuse("layer_types has \"" + type + "\"",
                  "potluck knows sliding_attention and full_attention");
    spec.layers.push_back({full, full ? full_kv : kv, full ? full_dim : dim, true});
  }
  const int count = text.integer_or("num_hidden_layers", spec.layer_count());
  if (count != spec.layer_count())
    text.refuse("num_hidden_layers is " + std::to_string(count) + ", layer_types has " +
                    std::to_string(spec.layer_count()),
                "download config.json again");
}

void read_rope(const JsonFields& text, ModelSpec& spec) {
  const int full_dim = text.integer_or("global_head_dim", text.integer("head_dim"));
  spec.rope_pairs_full = full_dim / kPublishedRotaryShare;
  if (!text.has("rope_parameters")) return;
  const JsonFields rope = text.object("rope_parameters");
  const JsonFields full = rope.object("full_attention");
  const double factor = full.number_or("partial_rotary_factor", 1.0);
  if (!(factor >= 0 && factor <= 1))
    full.refuse("partial_rotary_factor is " + number_text(factor), "it must be 0 to 1");
  spec.rope_pairs_full = factor * full_dim / 2;
  spec.rope_theta_full = full.number("rope_theta");
  spec.rope_theta_sliding = rope.object("sliding_attention").number("rope_theta");
}

ModelSpec spec_of(const JsonFields& config, const JsonFields& text) {
  ModelSpec spec;
  spec.hidden = text.integer("hidden_size");
  spec.intermediate = text.integer("intermediate_size");
  spec.expert_intermediate = text.integer("moe_intermediate_size");
  spec.experts = text.integer("num_experts");
  spec.experts_used = text.integer("top_k_experts");
  spec.heads = text.integer("num_attention_heads");
  spec.vocab = text.integer("vocab_size");
  spec.window = text.integer("sliding_window");
  spec.context_max = text.integer("max_position_embeddings");
  spec.canvas = config.integer("canvas_length");
  spec.rms_eps = text.number_or("rms_norm_eps", spec.rms_eps);
  spec.softcap = text.number_or("final_logit_softcapping", spec.softcap);
  spec.embed_scale = embed_scale_of(spec.hidden);
  read_layers(text, spec);
  read_rope(text, spec);
  return spec;
}

}  // namespace

ModelSpec read_config(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const nlohmann::json root = parse_json(read_text_file(path, kJsonBytesMax), path);
  const JsonFields config(root, path);
  ModelSpec spec =
      spec_of(config, config.has("text_config") ? config.object("text_config") : config);
  spec.name = std::filesystem::path(folder).filename().string();
  spec.generation = read_generation(folder + "/generation_config.json");
  try {
    validate(spec);
  } catch (const Fault& fault) {
    throw fault.at(path);
  }
  return spec;
}

}  // namespace potluck
