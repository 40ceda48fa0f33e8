// A row for each key: read elsewhere, harmless, or with the one value that potluck computes by.
#include "topology/model/gguf_keys.h"

#include <algorithm>
#include <string_view>

#include "topology/base/text.h"

namespace potluck {
namespace {

// Keys that gguf_spec() and the vocabulary read, or that say nothing about the answer. One that
// ends with a dot stands for all that begin with it.
constexpr std::string_view kFree[] = {
    "diffusion-gemma.block_count",
    "diffusion-gemma.context_length",
    "diffusion-gemma.embedding_length",
    "diffusion-gemma.feed_forward_length",
    "diffusion-gemma.expert_feed_forward_length",
    "diffusion-gemma.expert_count",
    "diffusion-gemma.expert_used_count",
    "diffusion-gemma.vocab_size",
    "diffusion-gemma.attention.head_count",
    "diffusion-gemma.attention.head_count_kv",
    "diffusion-gemma.attention.key_length",
    "diffusion-gemma.attention.key_length_swa",
    "diffusion-gemma.attention.value_length",
    "diffusion-gemma.attention.value_length_swa",
    "diffusion-gemma.attention.sliding_window",
    "diffusion-gemma.attention.sliding_window_pattern",
    "diffusion-gemma.attention.layer_norm_rms_epsilon",
    "diffusion-gemma.final_logit_softcapping",
    "diffusion-gemma.rope.freq_base",
    "diffusion-gemma.rope.freq_base_swa",
    "diffusion-gemma.rope.dimension_count",
    "diffusion-gemma.rope.dimension_count_swa",
    "diffusion-gemma.rope.scaling.original_context_length",
    "diffusion-gemma.rope.scaling.finetuned",
    "diffusion-gemma.tensor_data_layout",
    "diffusion-gemma.vision.",
    "diffusion-gemma.audio.",
    "diffusion.canvas_length",
    "diffusion.eb_max_steps",
    "diffusion.eb_t_min",
    "diffusion.eb_t_max",
    "diffusion.eb_entropy_bound",
    "diffusion.eb_stability_threshold",
    "diffusion.eb_confidence_threshold",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.token_type_count",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_sep_token",
    "tokenizer.chat_template",
    "tokenizer.chat_template.",
    "tokenizer.chat_templates",
    "tokenizer.huggingface.",
};

struct Number {
  std::string_view key;
  double value;
  double other;  // is as good
};
constexpr Number kNumbers[] = {
    {"general.quantization_version", 2, 2},
    {"diffusion-gemma.attention.causal", 0, 0},
    {"diffusion-gemma.attention.scale", 1, 1},
    {"diffusion-gemma.attention.k_eq_v", 1, 1},
    {"diffusion-gemma.rope.scaling.factor", 1, 0},
    {"diffusion-gemma.rope.scaling.attn_factor", 1, 1},
    {"diffusion-gemma.rope.scale_linear", 1, 0},
    {"diffusion-gemma.logit_scale", 1, 0},
    {"diffusion-gemma.residual_scale", 1, 0},
    {"diffusion-gemma.expert_gating_func", 1, 0},  // softmax
    {"diffusion-gemma.expert_weights_norm", 1, 1},
    {"diffusion-gemma.expert_weights_scale", 1, 0},
    {"diffusion-gemma.expert_group_count", 0, 1},
    {"diffusion-gemma.expert_group_used_count", 0, 1},
    {"diffusion-gemma.interleave_moe_layer_step", 0, 1},
};

struct Text {
  std::string_view key, value, other;
};
constexpr Text kTexts[] = {
    {"general.type", "model", "model"},
    {"diffusion-gemma.hidden_activation", "gelu_pytorch_tanh", "gelu_tanh"},
    {"diffusion-gemma.rope.scaling.type", "none", "default"},
    {"tokenizer.ggml.model", "gemma4", "gemma4"},
    {"tokenizer.ggml.pre", "gemma4", "default"},
};

bool is_free(std::string_view key) {
  if (key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id")) return true;
  return std::any_of(std::begin(kFree), std::end(kFree), [&](std::string_view free) {
    return free.ends_with('.') ? key.starts_with(free) : key == free;
  });
}

// Whether the key is of a group that says how the model computes.
bool counts(std::string_view key) {
  return key.starts_with("diffusion-gemma.") || key.starts_with("diffusion.") ||
         key.starts_with("tokenizer.");
}

bool is_off(const GgufValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number == 0;
  if (const auto* text = std::get_if<std::string>(&value)) return text->empty() || *text == "none";
  const auto& array = std::get<GgufArray>(value);
  return array.strings.empty() && std::all_of(array.numbers.begin(), array.numbers.end(),
                                              [](double number) { return number == 0; });
}

// The fault of a key whose value is not `wanted`.
[[noreturn]] void refuse_metadata(const GgufMetadata& metadata, const std::string& key,
                                  const std::string& wanted) {
  metadata.refuse("metadata key " + key + " is " + value_text(*metadata.find(key)),
                  wanted.empty() ? "potluck does not know what it changes, so it cannot leave it "
                                   "out: take a file as it was published"
                                 : "potluck computes by " + wanted);
}

void check_number(const GgufMetadata& metadata, const Number& rule) {
  const std::string key(rule.key);
  if (!metadata.find(key)) return;
  const double value = metadata.number(key);
  if (value != rule.value && value != rule.other)
    refuse_metadata(metadata, key, number_text(rule.value));
}

void check_text(const GgufMetadata& metadata, const Text& rule) {
  const std::string key(rule.key);
  if (!metadata.find(key)) return;
  const std::string value = metadata.text_or(key, "");
  if (value != rule.value && value != rule.other)
    refuse_metadata(metadata, key, in_quotes(rule.value));
}

template <typename Rules>
bool has_rule(const Rules& rules, std::string_view key) {
  return std::any_of(std::begin(rules), std::end(rules),
                     [&](const auto& rule) { return rule.key == key; });
}

}  // namespace

void check_gguf_keys(const GgufMetadata& metadata) {
  for (const Text& rule : kTexts) check_text(metadata, rule);
  for (const Number& rule : kNumbers) check_number(metadata, rule);
  for (const auto& [key, value] : metadata.values()) {
    if (!counts(key) || is_free(key) || has_rule(kNumbers, key) || has_rule(kTexts, key)) continue;
    if (!is_off(value)) refuse_metadata(metadata, key, "");
  }
}

}  // namespace potluck
