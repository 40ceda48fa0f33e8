// Reads a model's numbers from a checkpoint's JSON files.
#include "topology/model/safetensors_config.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/config_keys.h"
#include "topology/model/json_text.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

// Defaults of transformers' class, for keys that a config leaves out because they have them. They
// are not the released model's.
constexpr int kHidden = 2304, kIntermediate = 9216, kLayers = 30, kHeads = 8, kKvHeads = 4;
constexpr int kHeadDim = 256, kGlobalHeadDim = 512, kVocab = 262144, kWindow = 512;
constexpr int kContext = 131072, kCanvas = 256, kFullEvery = 6;

constexpr int kPublishedRotaryShare = 8;  // head_dim / 8 pairs: partial_rotary_factor 0.25

GenerationSpec generation_of_file(const std::string& path) {
  GenerationSpec g;
  if (!std::filesystem::exists(path)) return g;
  const nlohmann::json root = parse_json(read_text_file(path, kJsonBytesMax), path);
  const JsonFields fields(root, path);
  check_generation_keys(fields);
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

// A prompt without the chat format begins with BOS, unless the tokenizer is told not to.
void read_tokenizer(const std::string& path, GenerationSpec& g) {
  if (!std::filesystem::exists(path)) return;
  const nlohmann::json root = parse_json(read_text_file(path, kJsonBytesMax), path);
  const JsonFields fields(root, path);
  if (fields.has("add_bos_token")) g.add_bos = fields.at("add_bos_token") != false;
  if (fields.has("add_eos_token") && fields.at("add_eos_token") != false)
    fields.refuse("\"add_eos_token\" is true", "potluck puts no end token behind a prompt");
}

// Five sliding layers and a full one, by turns, where a config does not say; the last is full.
std::vector<bool> full_layers(const JsonFields& text) {
  std::vector<bool> full;
  if (!text.has("layer_types")) {
    const int count = text.integer_or("num_hidden_layers", kLayers);
    if (count < 1 || count > kLayersMax)
      text.refuse("\"num_hidden_layers\" is " + std::to_string(count),
                  "it must be 1 to " + std::to_string(kLayersMax));
    for (int i = 1; i <= count; ++i) full.push_back(i % kFullEvery == 0);
  } else {
    for (const std::string& type : text.texts("layer_types")) {
      full.push_back(type == "full_attention");
      if (!full.back() && type != "sliding_attention")
        text.refuse("layer_types has \"" + type + "\"",
                    "potluck knows sliding_attention and full_attention");
    }
  }
  if (!full.empty()) full.back() = true;
  const int count = text.integer_or("num_hidden_layers", full.size());
  if (count != std::ssize(full))
    text.refuse("num_hidden_layers is " + std::to_string(count) + ", layer_types has " +
                    std::to_string(full.size()),
                "one of the two is wrong");
  return full;
}

// The layer that a key of per_layer_config names: "2", or "02".
int layer_of(const JsonFields& layers, const std::string& key, int count) {
  const bool digits =
      !key.empty() && key.size() < 9 && key.find_first_not_of("0123456789") == std::string::npos;
  const int layer = digits ? std::stoi(key) : count;
  if (layer >= count)
    layers.refuse("per_layer_config has \"" + key + "\"",
                  "it must be a layer from 0 to " + std::to_string(count - 1));
  return layer;
}

// transformers 5.15 and later writes what differs by layer here, and it wins over the flat keys.
void read_per_layer(const JsonFields& text, ModelSpec& spec) {
  const JsonFields layers = text.object("per_layer_config");
  for (const std::string& key : layers.keys()) {
    LayerSpec& layer = spec.layers[layer_of(layers, key, spec.layer_count())];
    const JsonFields own = layers.object(key);
    layer.head_dim = own.integer_or("head_dim", layer.head_dim);
    layer.kv_heads = own.integer_or("num_key_value_heads", layer.kv_heads);
    for (const std::string& name : own.keys()) {
      const bool read = name == "head_dim" || name == "num_key_value_heads";
      if (read || (text.has(name) && text.at(name) == own.at(name))) continue;
      own.refuse("per_layer_config has \"" + name + "\" " + json_excerpt(own.at(name)) +
                     " for layer " + key,
                 "potluck has one value for all layers");
    }
  }
}

void layers_of_config(const JsonFields& text, ModelSpec& spec) {
  const int kv = text.integer_or("num_key_value_heads", kKvHeads);
  const int dim = text.integer_or("head_dim", kHeadDim);
  const bool own = text.has("per_layer_config");
  const int full_kv = own ? kv : text.integer_or("num_global_key_value_heads", kv);
  const int full_dim = own ? dim : text.integer_or("global_head_dim", kGlobalHeadDim);
  for (const bool full : full_layers(text))
    spec.layers.push_back({full, full ? full_kv : kv, full ? full_dim : dim, true});
  if (own) read_per_layer(text, spec);
}

// The share of a kind of layer's pairs that rotate, all at frequencies by the whole head_dim.
double rotary_share(const JsonFields& rope, const char* type) {
  const double share = rope.number_or("partial_rotary_factor", 1.0);
  if (!(share >= 0 && share <= 1))
    rope.refuse("partial_rotary_factor is " + number_text(share), "it must be 0 to 1");
  for (const std::string& key : rope.keys()) {
    const nlohmann::json& value = rope.at(key);
    const bool as_all = share == 1 && (value == "default" || value == "proportional");
    const bool same = key == "rope_type" || key == "type" ? value == type || as_all
                      : key == "factor"                   ? value == 1
                                        : key == "rope_theta" || key == "partial_rotary_factor";
    if (!same && !value.is_null())
      rope.refuse("rope_parameters have \"" + key + "\" " + json_excerpt(value),
                  std::string("potluck rotates as \"") + type + "\" says");
  }
  return share;
}

void read_rope(const JsonFields& text, ModelSpec& spec) {
  int full_dim = 0;
  for (const LayerSpec& layer : spec.layers)
    if (layer.full) full_dim = layer.head_dim;
  spec.rope_pairs_full = full_dim / kPublishedRotaryShare;
  if (!text.has("rope_parameters")) return;
  const JsonFields rope = text.object("rope_parameters");
  const JsonFields full = rope.object("full_attention");
  const JsonFields sliding = rope.object("sliding_attention");
  spec.rope_pairs_full = rotary_share(full, "proportional") * full_dim / 2;
  if (rotary_share(sliding, "default") != 1)
    sliding.refuse("partial_rotary_factor of sliding_attention is " +
                       number_text(sliding.number("partial_rotary_factor")),
                   "potluck rotates every pair of sliding layers");
  spec.rope_theta_full = full.number_or("rope_theta", spec.rope_theta_full);
  spec.rope_theta_sliding = sliding.number_or("rope_theta", spec.rope_theta_sliding);
}

bool names(const JsonFields& fields, const std::string& key) {
  const std::vector<std::string> keys = fields.keys();
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

ModelSpec spec_of_config(const JsonFields& config, const JsonFields& text) {
  ModelSpec spec;
  spec.hidden = text.integer_or("hidden_size", kHidden);
  spec.intermediate = text.integer_or("intermediate_size", kIntermediate);
  spec.expert_intermediate = text.integer("moe_intermediate_size");
  spec.experts = text.integer("num_experts");
  spec.experts_used = text.integer("top_k_experts");
  spec.heads = text.integer_or("num_attention_heads", kHeads);
  spec.vocab = text.integer_or("vocab_size", kVocab);
  spec.window = text.integer_or("sliding_window", kWindow);
  spec.context_max = text.integer_or("max_position_embeddings", kContext);
  spec.canvas = config.integer_or("canvas_length", kCanvas);
  spec.rms_eps = text.number_or("rms_norm_eps", spec.rms_eps);
  if (!text.has("final_logit_softcapping") && names(text, "final_logit_softcapping"))
    text.refuse("\"final_logit_softcapping\" is null", "potluck caps the logits");
  spec.softcap = text.number_or("final_logit_softcapping", spec.softcap);
  spec.embed_scale = embed_scale_of(spec.hidden);
  layers_of_config(text, spec);
  read_rope(text, spec);
  return spec;
}

}  // namespace

CheckpointConfig read_config(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const nlohmann::json root = parse_json(read_text_file(path, kJsonBytesMax), path);
  const JsonFields config(root, path);
  const JsonFields text = config.has("text_config") ? config.object("text_config") : config;
  CheckpointConfig read;
  read.notes = check_config_keys(config, text);
  read.tied = is_tied(config, text);
  ModelSpec& spec = read.spec = spec_of_config(config, text);
  spec.name = std::filesystem::path(folder).filename().string();
  spec.generation = generation_of_file(folder + "/generation_config.json");
  read_tokenizer(folder + "/tokenizer_config.json", spec.generation);
  try {
    validate(spec);
  } catch (const Fault& fault) {
    throw fault.at(path);
  }
  return read;
}

}  // namespace potluck
