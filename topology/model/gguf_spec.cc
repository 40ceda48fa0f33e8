// Reads metadata by type, and from it the numbers of a model.
#include "topology/model/gguf_spec.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

std::string kind_of(const GgufValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return number_text(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return "the text \"" + *text + "\"";
  return "an array";
}

}  // namespace

GgufMetadata::GgufMetadata(const std::map<std::string, GgufValue>& values, std::string file)
    : values_(values), file_(std::move(file)) {}

void GgufMetadata::refuse(const std::string& why, const std::string& fix) const {
  throw Fault(FaultKind::input, why, Fix{fix}, file_);
}

const GgufValue* GgufMetadata::find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

double GgufMetadata::number(const std::string& key) const {
  const GgufValue* value = find(key);
  if (!value) refuse("metadata key " + key + " is missing", "is this a DiffusionGemma file?");
  const double* number = std::get_if<double>(value);
  if (!number) refuse("metadata key " + key + " is " + kind_of(*value), "it must be a number");
  return *number;
}

double GgufMetadata::number_or(const std::string& key, double fallback) const {
  return find(key) ? number(key) : fallback;
}

int GgufMetadata::integer(const std::string& key) const {
  return to_int(number(key), key);
}

int GgufMetadata::integer_or(const std::string& key, int fallback) const {
  return find(key) ? integer(key) : fallback;
}

std::string GgufMetadata::text_or(const std::string& key, const std::string& fallback) const {
  const GgufValue* value = find(key);
  const std::string* text = value ? std::get_if<std::string>(value) : nullptr;
  return text ? *text : fallback;
}

const GgufArray& GgufMetadata::array(const std::string& key) const {
  const GgufValue* value = find(key);
  if (!value) refuse("metadata key " + key + " is missing", "download the file again");
  const GgufArray* array = std::get_if<GgufArray>(value);
  if (!array) refuse("metadata key " + key + " is " + kind_of(*value), "it must be an array");
  return *array;
}

std::vector<int> GgufMetadata::per_layer(const std::string& key, int count) const {
  const GgufValue* value = find(key);
  if (value && std::holds_alternative<double>(*value)) return std::vector<int>(count, integer(key));
  const GgufArray& values = array(key);
  if (values.numbers.size() != static_cast<size_t>(count))
    refuse("metadata key " + key + " has " + std::to_string(values.numbers.size()) +
           " values for " + std::to_string(count) + " layers");
  std::vector<int> result;
  for (double v : values.numbers) result.push_back(to_int(v, key));
  return result;
}

int GgufMetadata::to_int(double value, const std::string& key) const {
  if (value != std::floor(value) || std::fabs(value) > 1e9)
    refuse("metadata key " + key + " is " + number_text(value),
           "it must be a whole number up to 1000000000");
  return value;
}

namespace {

constexpr char kArchitecture[] = "diffusion-gemma";
constexpr int kLayersMax = 1024;

std::string key(const char* name) {
  return std::string(kArchitecture) + "." + name;
}

void read_layers(const GgufMetadata& meta, const std::vector<TensorInfo>& tensors,
                 ModelSpec& spec) {
  const int count = meta.integer(key("block_count"));
  if (count < 1 || count > kLayersMax)
    meta.refuse(key("block_count") + " is " + std::to_string(count),
                "it must be 1 to " + std::to_string(kLayersMax));
  const auto kv_heads = meta.per_layer(key("attention.head_count_kv"), count);
  const auto sliding = meta.per_layer(key("attention.sliding_window_pattern"), count);
  for (int i = 0; i < count; ++i) {
    const auto index = i;
    LayerSpec layer;
    layer.full = !sliding[index];
    layer.kv_heads = kv_heads[index];
    layer.head_dim =
        meta.integer(key(layer.full ? "attention.key_length" : "attention.key_length_swa"));
    const std::string v = layer_tensor_name(i, "attn_v.weight");
    layer.has_v = find_unsorted(tensors, v) != nullptr;
    if (!layer.has_v && !layer.full)
      meta.refuse("tensor " + v + " is missing from a sliding layer");
    spec.layers.push_back(layer);
  }
}

GenerationSpec read_generation(const GgufMetadata& meta) {
  GenerationSpec g;
  g.max_steps = meta.integer_or("diffusion.eb_max_steps", g.max_steps);
  g.t_min = meta.number_or("diffusion.eb_t_min", g.t_min);
  g.t_max = meta.number_or("diffusion.eb_t_max", g.t_max);
  g.entropy_bound = meta.number_or("diffusion.eb_entropy_bound", g.entropy_bound);
  g.stability_threshold =
      meta.integer_or("diffusion.eb_stability_threshold", g.stability_threshold);
  g.confidence_threshold =
      meta.number_or("diffusion.eb_confidence_threshold", g.confidence_threshold);
  g.eos_ids = {meta.integer_or("tokenizer.ggml.eos_token_id", 1)};
  g.pad_id = meta.integer_or("tokenizer.ggml.padding_token_id", g.pad_id);
  g.bos_id = meta.integer_or("tokenizer.ggml.bos_token_id", g.bos_id);
  return g;
}

// There is no end-of-turn key: <turn|> and <|tool_response> end an answer by their names
// (shard/MODEL.md §9.1).
void add_end_tokens(const GgufMetadata& meta, GenerationSpec& generation) {
  if (!meta.find("tokenizer.ggml.tokens")) return;
  const auto& tokens = meta.array("tokenizer.ggml.tokens").strings;
  for (const char* name : {"<turn|>", "<|tool_response>"}) {
    const auto found = std::find(tokens.begin(), tokens.end(), name);
    if (found != tokens.end()) generation.eos_ids.push_back(found - tokens.begin());
  }
}

}  // namespace

ModelSpec gguf_spec(const GgufMetadata& meta, const std::vector<TensorInfo>& tensors) {
  const std::string architecture = meta.text_or("general.architecture", "");
  if (architecture != kArchitecture)
    meta.refuse("general.architecture is \"" + architecture + "\"",
                std::string("potluck runs ") + kArchitecture);
  ModelSpec spec;
  spec.name = meta.text_or("general.name", "unnamed");
  spec.hidden = meta.integer(key("embedding_length"));
  spec.intermediate = meta.integer(key("feed_forward_length"));
  spec.expert_intermediate = meta.integer(key("expert_feed_forward_length"));
  spec.experts = meta.integer(key("expert_count"));
  spec.experts_used = meta.integer(key("expert_used_count"));
  spec.heads = meta.integer(key("attention.head_count"));
  spec.window = meta.integer(key("attention.sliding_window"));
  spec.context_max = meta.integer(key("context_length"));
  spec.canvas = meta.integer("diffusion.canvas_length");
  spec.rms_eps = meta.number(key("attention.layer_norm_rms_epsilon"));
  spec.softcap = meta.number_or(key("final_logit_softcapping"), 30);
  spec.rope_theta_full = meta.number(key("rope.freq_base"));
  spec.rope_theta_sliding = meta.number_or(key("rope.freq_base_swa"), 1e4);
  spec.embed_scale = embed_scale_of(spec.hidden);
  const TensorInfo* table = find_unsorted(tensors, "token_embd.weight");
  if (!table || table->shape.size() != 2) meta.refuse("tensor token_embd.weight is missing");
  spec.vocab = (std::min<int64_t>(table->shape[0], 1 << 30));
  read_layers(meta, tensors, spec);
  spec.generation = read_generation(meta);
  add_end_tokens(meta, spec.generation);
  return spec;
}

}  // namespace potluck
