// Reads metadata by type, and from it the numbers of a model.
#include "topology/model/gguf_spec.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

constexpr size_t kValuesShown = 4;

// "an array (1, 2, 3, 4, …)"
std::string array_text(const GgufArray& array) {
  std::string list;
  const size_t count = array.strings.size() + array.numbers.size();
  for (size_t i = 0; i < std::min(count, kValuesShown); ++i)
    add_to_list(list, array.strings.empty() ? number_text(array.numbers[i])
                                            : "\"" + array.strings[i] + "\"");
  if (count > kValuesShown) add_to_list(list, "…");
  return "an array (" + list + ")";
}

}  // namespace

std::string value_text(const GgufValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return number_text(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return "the text \"" + *text + "\"";
  return array_text(std::get<GgufArray>(value));
}

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
  if (const double* number = std::get_if<double>(value)) return *number;
  const auto* array = std::get_if<GgufArray>(value);
  if (!array || array->numbers.empty())
    refuse("metadata key " + key + " is " + value_text(*value), "it must be a number");
  const std::vector<double>& numbers = array->numbers;
  if (std::count(numbers.begin(), numbers.end(), numbers[0]) != std::ssize(numbers))
    refuse("metadata key " + key + " is " + value_text(*value),
           "potluck has one value for all layers");
  return numbers[0];
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
  if (!value) refuse("metadata key " + key + " is missing", "take another file of the model");
  const GgufArray* array = std::get_if<GgufArray>(value);
  if (!array) refuse("metadata key " + key + " is " + value_text(*value), "it must be an array");
  return *array;
}

std::vector<double> GgufMetadata::per_layer(const std::string& key, int count) const {
  const GgufValue* value = find(key);
  if (value && std::holds_alternative<double>(*value))
    return std::vector<double>(count, number(key));
  const GgufArray& values = array(key);
  if (values.numbers.size() != static_cast<size_t>(count))
    refuse("metadata key " + key + " has " + std::to_string(values.numbers.size()) +
           " values for " + std::to_string(count) + " layers");
  return values.numbers;
}

std::vector<int> GgufMetadata::integers_per_layer(const std::string& key, int count) const {
  std::vector<int> result;
  for (double v : per_layer(key, count)) result.push_back(to_int(v, key));
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

std::string key(const char* name) {
  return std::string(kArchitecture) + "." + name;
}

bool is_array(const GgufMetadata& meta, const std::string& name) {
  const GgufValue* value = meta.find(name);
  return value && std::holds_alternative<GgufArray>(*value);
}

// Whether each layer is a sliding one: an array, or a period N whose last layer is full.
std::vector<int> sliding_layers(const GgufMetadata& meta, int count) {
  const std::string name = key("attention.sliding_window_pattern");
  std::vector<int> sliding = meta.integers_per_layer(name, count);
  if (is_array(meta, name) || sliding[0] < 2) return sliding;
  for (int i = 0; i < count; ++i) sliding[i] = (i + 1) % meta.integer(name) != 0;
  return sliding;
}

// A number of full layers and one of sliding layers, each under its key (the second may be absent
// where it is the first), or all layers' in an array under the first.
class PerKind {
 public:
  PerKind(const GgufMetadata& meta, const std::string& name, int count)
      : full_(meta.per_layer(name, count)),
        sliding_(meta.find(name + "_swa") ? meta.per_layer(name + "_swa", count) : full_) {
    if (is_array(meta, name)) sliding_ = full_;
  }
  double of(bool full, int layer) const { return full ? full_[layer] : sliding_[layer]; }

 private:
  std::vector<double> full_, sliding_;
};

// Lengths that follow from head_dim, where a file gives them.
void check_head_dim(const GgufMetadata& meta, const char* name, const ModelSpec& spec) {
  if (!meta.find(key(name))) return;
  const PerKind lengths(meta, key(name), spec.layer_count());
  const bool of_sliding = is_array(meta, key(name)) || meta.find(key(name) + "_swa");
  for (int i = 0; i < spec.layer_count(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    if (!layer.full && !of_sliding) continue;
    const double length = lengths.of(layer.full, i);
    if (length != layer.head_dim)
      meta.refuse("metadata key " + key(name) + " is " + number_text(length) + " for layer " +
                      std::to_string(i) + ", whose heads have " + std::to_string(layer.head_dim),
                  "potluck computes by heads whose keys and values are equally long and rotate as "
                  "a whole");
  }
}

void read_layers(const GgufMetadata& meta, const std::vector<TensorInfo>& tensors,
                 ModelSpec& spec) {
  const int count = meta.integer(key("block_count"));
  if (count < 1 || count > kLayersMax)
    meta.refuse(key("block_count") + " is " + std::to_string(count),
                "it must be 1 to " + std::to_string(kLayersMax));
  const std::string kv = key("attention.head_count_kv");
  const auto kv_heads =
      meta.integers_per_layer(meta.find(kv) ? kv : key("attention.head_count"), count);
  const auto sliding = sliding_layers(meta, count);
  const PerKind dims(meta, key("attention.key_length"), count);
  for (int i = 0; i < count; ++i) {
    LayerSpec layer;
    layer.full = !sliding[i];
    layer.kv_heads = kv_heads[i];
    layer.head_dim = meta.to_int(dims.of(layer.full, i), key("attention.key_length"));
    const std::string v = layer_tensor_name(i, "attn_v.weight");
    layer.has_v = find_unsorted(tensors, v) != nullptr;
    if (!layer.has_v && !layer.full)
      meta.refuse("tensor " + v + " is missing from a sliding layer");
    spec.layers.push_back(layer);
  }
  for (const char* name : {"attention.value_length", "rope.dimension_count"})
    check_head_dim(meta, name, spec);
}

// Theta by kind of layer; in an array all layers of a kind have the same.
void read_thetas(const GgufMetadata& meta, ModelSpec& spec) {
  const std::string name = key("rope.freq_base");
  spec.rope_theta_sliding = meta.number_or(name + "_swa", 1e4);
  if (!is_array(meta, name)) {
    spec.rope_theta_full = meta.number(name);
    return;
  }
  const std::vector<double> thetas = meta.per_layer(name, spec.layer_count());
  for (const bool full : {false, true}) {
    float& theta = full ? spec.rope_theta_full : spec.rope_theta_sliding;
    bool first = true;
    for (int i = 0; i < spec.layer_count(); ++i) {
      if (spec.layers[i].full != full) continue;
      if (!std::exchange(first, false) && theta != static_cast<float>(thetas[i]))
        meta.refuse("metadata key " + name + " is " + value_text(*meta.find(name)),
                    "potluck has one value for full layers and one for sliding layers");
      theta = thetas[i];
    }
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
  for (const char* end : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (meta.find(end)) g.eos_ids.push_back(meta.integer(end));
  g.pad_id = meta.integer_or("tokenizer.ggml.padding_token_id", g.pad_id);
  g.bos_id = meta.integer_or("tokenizer.ggml.bos_token_id", g.bos_id);
  g.add_bos = meta.integer_or("tokenizer.ggml.add_bos_token", g.add_bos) != 0;
  return g;
}

// Says what a file of another architecture is, and what to take instead.
std::string other_model(const std::string& name, const std::string& type) {
  if (type == "imatrix") return "it holds measurements for quantizing; give the model's own file";
  if (type == "adapter") return "an adapter has to be merged into its model first";
  if (type == "mmproj" || name == "clip") return "it is a vision part; give the text model's file";
  std::string letters;
  for (unsigned char c : name)
    if (std::isalnum(c)) letters += std::tolower(c);
  const std::string runs = std::string("potluck runs ") + kArchitecture;
  if (letters.find("diffusiongemma") == 0)
    return runs +
           ": this may be the same model from another converter, whose names differ; take a "
           "file converted for \"" +
           kArchitecture + "\"";
  if (letters.find("gemma") == 0)
    return runs + "; " + name + " writes one token after the other, and llama.cpp runs it";
  return runs + (name.empty() ? "" : "; llama.cpp runs many others");
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

void check_architecture(const GgufMetadata& meta) {
  const std::string name = meta.text_or("general.architecture", "");
  const std::string type = meta.text_or("general.type", "model");
  if (name == kArchitecture && type == "model") return;
  meta.refuse(type == "model" ? "general.architecture is \"" + name + "\""
                              : "general.type is \"" + type + "\"",
              other_model(name, type));
}

ModelSpec gguf_spec(const GgufMetadata& meta, const std::vector<TensorInfo>& tensors) {
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
  spec.embed_scale = embed_scale_of(spec.hidden);
  const TensorInfo* table = find_unsorted(tensors, "token_embd.weight");
  if (!table || table->shape.size() != 2) meta.refuse("tensor token_embd.weight is missing");
  spec.vocab = (std::min<int64_t>(table->shape[0], 1 << 30));
  const int vocab = meta.integer_or(key("vocab_size"), spec.vocab);
  if (vocab != spec.vocab)
    meta.refuse("metadata key " + key("vocab_size") + " is " + std::to_string(vocab) +
                ", token_embd.weight has " + std::to_string(spec.vocab) + " rows");
  read_layers(meta, tensors, spec);
  read_thetas(meta, spec);
  spec.generation = read_generation(meta);
  add_end_tokens(meta, spec.generation);
  return spec;
}

}  // namespace potluck
