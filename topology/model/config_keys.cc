// A row for each key: read elsewhere, harmless, or with the value that potluck computes by.
#include "topology/model/config_keys.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "topology/model/quantized_checkpoint.h"

namespace potluck {
namespace {

using nlohmann::json;

constexpr char kTextType[] = "diffusion_gemma_text";

// Keys that read_config() reads, or that say nothing about the answer.
constexpr std::string_view kAllowed[] = {
    "_attn_implementation",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "cache_implementation",
    "canvas_length",
    "dtype",
    "eos_token_id",
    "experts_implementation",
    "final_logit_softcapping",
    "global_head_dim",
    "head_dim",
    "hidden_size",
    "id2label",
    "initializer_range",
    "intermediate_size",
    "label2id",
    "layer_types",
    "max_position_embeddings",
    "model_type",
    "moe_intermediate_size",
    "num_attention_heads",
    "num_experts",
    "num_global_key_value_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "pad_token_id",
    "per_layer_config",
    "return_dict",
    "rms_norm_eps",
    "rope_parameters",
    "sliding_window",
    "sliding_window_pattern",
    "tie_word_embeddings",
    "top_k_experts",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "vocab_size",
    "vocab_size_per_layer_input",
};
constexpr std::string_view kRootAllowed[] = {"text_config", "vision_config", "audio_config"};

// Keys of the text model with one value.
const std::vector<std::pair<std::string, json>>& fixed() {
  static const std::vector<std::pair<std::string, json>> kFixed = {
      {"hidden_activation", "gelu_pytorch_tanh"},
      {"hidden_act", "gelu_pytorch_tanh"},
      {"attention_bias", false},
      {"attention_k_eq_v", true},
      {"enable_moe_block", true},
      {"use_bidirectional_attention", "vision"},
  };
  return kFixed;
}

bool has_no_effect(const json& value) {
  const bool empty = (value.is_structured() || value.is_string()) && value.empty();
  return value.is_null() || empty || value == false || value == 0;
}

bool key_of_other_senses(std::string_view key) {
  for (const std::string_view sense :
       {"vision_", "image_", "audio_", "video_", "boi_", "eoi_", "boa_", "eoa_"})
    if (key.starts_with(sense)) return true;
  return false;
}

bool is_allowed(std::string_view key) {
  return std::find(std::begin(kAllowed), std::end(kAllowed), key) != std::end(kAllowed);
}

[[noreturn]] void refuse_key(const JsonFields& fields, const std::string& key,
                             const std::string& fix) {
  fields.refuse("\"" + key + "\" is " + json_excerpt(fields.at(key)), fix);
}

void check_text_config(const JsonFields& text) {
  for (const auto& [key, value] : fixed())
    if (text.has(key) && text.at(key) != value)
      refuse_key(text, key, "potluck computes by " + value.dump());
  // Other programs' spelling of what has a name already.
  if (text.has("self_conditioning_size") && text.has("intermediate_size") &&
      text.at("self_conditioning_size") != text.at("intermediate_size"))
    refuse_key(text, "self_conditioning_size", "potluck computes by intermediate_size");
  const auto has_value = [](const std::string& key) {
    return key == "self_conditioning_size" ||
           std::any_of(fixed().begin(), fixed().end(),
                       [&](const auto& pair) { return pair.first == key; });
  };
  for (const std::string& key : text.keys()) {
    if (is_allowed(key) || has_value(key) || key_of_other_senses(key) ||
        has_no_effect(text.at(key)))
      continue;
    refuse_key(
        text, key,
        "potluck does not know what it changes, so it cannot leave it out: take a checkpoint as "
        "it was published");
  }
}

// "DiffusionGemma" in any spelling.
bool names_diffusion_gemma(const std::string& type) {
  std::string letters;
  for (unsigned char c : type)
    if (std::isalnum(c)) letters += std::tolower(c);
  return letters.find("diffusiongemma") == 0;
}

void check_type(const JsonFields& fields, const std::string& wanted) {
  if (!fields.has("model_type")) return;
  const std::string type = fields.text("model_type");
  if (type == wanted) return;
  if (type == kTextType && !fields.has("text_config")) return;
  const std::string runs = "potluck runs " + wanted;
  refuse_key(fields, "model_type",
             names_diffusion_gemma(type)
                 ? runs +
                       ": this may be the same model under an older name; take the checkpoint that "
                       "is published now"
                 : runs + "; transformers runs many others");
}

void check_architectures(const JsonFields& config) {
  if (!config.has("architectures")) return;
  const std::vector<std::string> names = config.texts("architectures");
  if (!names.empty() && std::none_of(names.begin(), names.end(), names_diffusion_gemma))
    config.refuse("\"architectures\" has \"" + names[0] + "\"",
                  "potluck runs DiffusionGemmaForBlockDiffusion");
}

}  // namespace

std::vector<std::string> check_config_keys(const JsonFields& config, const JsonFields& text) {
  const bool nested = config.has("text_config");
  check_type(config, "diffusion_gemma");
  if (nested) check_type(text, kTextType);
  check_architectures(config);
  for (const JsonFields* fields : {&config, &text})
    if (const auto what = quantization(*fields))
      config.refuse("the weights of this checkpoint are quantized, as " + *what, kTakeUnquantized);
  check_text_config(text);
  std::vector<std::string> notes;
  if (!nested) return notes;
  for (const std::string& key : config.keys())
    if (!is_allowed(key) && !key_of_other_senses(key) && !has_no_effect(config.at(key)) &&
        std::find(std::begin(kRootAllowed), std::end(kRootAllowed), key) == std::end(kRootAllowed))
      notes.push_back("config.json: \"" + key + "\" is " + json_excerpt(config.at(key)) +
                      ", which potluck does not know");
  return notes;
}

void check_generation_keys(const JsonFields& generation) {
  if (!generation.has("sampler_config")) return;
  const JsonFields sampler = generation.object("sampler_config");
  for (const std::string& key : sampler.keys()) {
    const bool known = key == "entropy_bound" ||
                       (key == "_cls_name" && sampler.at(key) == "EntropyBoundSamplerConfig");
    if (!known && !has_no_effect(sampler.at(key)))
      refuse_key(sampler, key, "potluck samples by EntropyBoundSamplerConfig's entropy_bound");
  }
}

bool is_tied(const JsonFields& config, const JsonFields& text) {
  for (const JsonFields* fields : {&config, &text})
    if (fields->has("tie_word_embeddings") && fields->at("tie_word_embeddings") == false)
      return false;
  return true;
}

}  // namespace potluck
