#include "topology/gguf.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <regex>
#include <utility>

#include "topology/directory.h"
#include "topology/fault.h"
#include "topology/gguf_reader.h"
#include "topology/mapped_file.h"

namespace potluck {
namespace {

constexpr char kArchitecture[] = "diffusion-gemma";
constexpr double kNoRotation = 1e20;  // rope_freqs divides by 1e30 where a pair does not rotate

// Typed access to metadata; every refusal names key, value and file.
class Metadata {
 public:
  Metadata(const std::map<std::string, GgufValue>& values, std::string file)
      : values_(values), file_(std::move(file)) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw Fault(FaultKind::input, why, file_);
  }
  const GgufValue* find(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &found->second;
  }
  double number(const std::string& key) const {
    const GgufValue* value = find(key);
    if (!value) refuse("metadata key " + key + " is missing; is this a DiffusionGemma file?");
    const double* number = std::get_if<double>(value);
    if (!number) refuse("metadata key " + key + " is not a number");
    return *number;
  }
  double number_or(const std::string& key, double fallback) const {
    return find(key) ? number(key) : fallback;
  }
  int integer(const std::string& key) const { return to_int(number(key), key); }
  int integer_or(const std::string& key, int fallback) const {
    return find(key) ? integer(key) : fallback;
  }
  std::string text_or(const std::string& key, const std::string& fallback) const {
    const GgufValue* value = find(key);
    const std::string* text = value ? std::get_if<std::string>(value) : nullptr;
    return text ? *text : fallback;
  }
  const GgufArray& array(const std::string& key) const {
    const GgufValue* value = find(key);
    const GgufArray* array = value ? std::get_if<GgufArray>(value) : nullptr;
    if (!array) refuse("metadata key " + key + " is missing or not an array");
    return *array;
  }
  // One value for each layer: an array of `count`, or one number for all.
  std::vector<int> per_layer(const std::string& key, int count) const {
    const GgufValue* value = find(key);
    if (value && std::holds_alternative<double>(*value))
      return std::vector<int>(static_cast<size_t>(count), integer(key));
    const GgufArray& values = array(key);
    if (values.numbers.size() != static_cast<size_t>(count))
      refuse("metadata key " + key + " has " + std::to_string(values.numbers.size()) +
             " values for " + std::to_string(count) + " layers");
    std::vector<int> result;
    for (double v : values.numbers) result.push_back(to_int(v, key));
    return result;
  }

 private:
  int to_int(double value, const std::string& key) const {
    if (value != std::floor(value) || std::fabs(value) > 1e9)
      refuse("metadata key " + key + " is " + std::to_string(value) + ", not a sensible integer");
    return static_cast<int>(value);
  }
  const std::map<std::string, GgufValue>& values_;
  std::string file_;
};

std::string key(const char* name) {
  return std::string(kArchitecture) + "." + name;
}

void read_layers(const Metadata& meta, const std::vector<TensorInfo>& tensors, ModelSpec& spec) {
  const int count = meta.integer(key("block_count"));
  if (count < 1 || count > 1024) meta.refuse(key("block_count") + " is " + std::to_string(count));
  const auto kv_heads = meta.per_layer(key("attention.head_count_kv"), count);
  const auto sliding = meta.per_layer(key("attention.sliding_window_pattern"), count);
  for (int i = 0; i < count; ++i) {
    const auto index = static_cast<size_t>(i);
    LayerSpec layer;
    layer.full = !sliding[index];
    layer.kv_heads = kv_heads[index];
    layer.head_dim =
        meta.integer(key(layer.full ? "attention.key_length" : "attention.key_length_swa"));
    const std::string v = "blk." + std::to_string(i) + ".attn_v.weight";
    layer.has_v = find_unsorted(tensors, v) != nullptr;
    if (!layer.has_v && !layer.full)
      meta.refuse("tensor " + v + " is missing from a sliding layer");
    spec.layers.push_back(layer);
  }
}

GenerationSpec read_generation(const Metadata& meta) {
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

// There is no end-of-turn key: <turn|> and <|tool_response> end an answer by their names (model.md
// §9.1).
void add_end_tokens(const Metadata& meta, GenerationSpec& generation) {
  if (!meta.find("tokenizer.ggml.tokens")) return;
  const auto& tokens = meta.array("tokenizer.ggml.tokens").strings;
  for (const char* name : {"<turn|>", "<|tool_response>"}) {
    const auto found = std::find(tokens.begin(), tokens.end(), name);
    if (found != tokens.end())
      generation.eos_ids.push_back(static_cast<int32_t>(found - tokens.begin()));
  }
}

ModelSpec read_spec(const Metadata& meta, const std::vector<TensorInfo>& tensors) {
  const std::string architecture = meta.text_or("general.architecture", "");
  if (architecture != kArchitecture)
    meta.refuse("general.architecture is \"" + architecture + "\"; potluck runs " + kArchitecture);
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
  spec.rms_eps = static_cast<float>(meta.number(key("attention.layer_norm_rms_epsilon")));
  spec.softcap = static_cast<float>(meta.number_or(key("final_logit_softcapping"), 30));
  spec.rope_theta_full = static_cast<float>(meta.number(key("rope.freq_base")));
  spec.rope_theta_sliding = static_cast<float>(meta.number_or(key("rope.freq_base_swa"), 1e4));
  spec.embed_scale = embed_scale_of(spec.hidden);
  const TensorInfo* table = find_unsorted(tensors, "token_embd.weight");
  if (!table || table->shape.size() != 2) meta.refuse("tensor token_embd.weight is missing");
  spec.vocab = static_cast<int>(std::min<int64_t>(table->shape[0], 1 << 30));
  read_layers(meta, tensors, spec);
  spec.generation = read_generation(meta);
  add_end_tokens(meta, spec.generation);
  return spec;
}

class GgufSource final : public ModelSource {
 public:
  explicit GgufSource(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      files_.emplace_back(path);
      const MappedFile& file = files_.back();
      GgufContents contents = read_gguf(file.map(0, file.size()).get(), file.size(), path);
      for (TensorInfo& tensor : contents.tensors) {
        tensor.file = static_cast<int>(files_.size()) - 1;
        tensors_.push_back(std::move(tensor));
      }
      if (files_.size() == 1) metadata_ = std::move(contents.metadata);
    }
    const Metadata meta(metadata_, paths[0]);
    spec_ = read_spec(meta, tensors_);
    spec_.rope_pairs_full = rope_pairs();
    validate_named(paths[0]);
    check_directory(tensors_, spec_, paths[0]);
  }

  const ModelSpec& spec() const override { return spec_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TensorBytes map(const TensorInfo& tensor) const override {
    return files_[static_cast<size_t>(tensor.file)].map(tensor.offset, tensor.bytes);
  }
  std::vector<std::string> notes() const override { return {}; }
  std::string description() const override {
    return "GGUF v3, " + std::to_string(tensors_.size()) + " tensors, " +
           std::to_string(files_.size()) + (files_.size() == 1 ? " file" : " files");
  }

  Vocabulary vocabulary() const override {
    const Metadata meta(metadata_, files_[0].path());
    Vocabulary v;
    v.tokens = meta.array("tokenizer.ggml.tokens").strings;
    v.chat_template = meta.text_or("tokenizer.chat_template", "");
    for (double type : meta.array("tokenizer.ggml.token_type").numbers)
      v.types.push_back(static_cast<TokenType>(type >= 1 && type <= 6 ? type : 1));
    if (v.types.size() != v.tokens.size())
      meta.refuse("tokenizer.ggml.token_type has " + std::to_string(v.types.size()) +
                  " values for " + std::to_string(v.tokens.size()) + " tokens");
    for (const std::string& merge : meta.array("tokenizer.ggml.merges").strings) {
      const size_t space = merge.find(' ', 1);
      if (space == std::string::npos) meta.refuse("merge \"" + merge + "\" has no space");
      v.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    }
    return v;
  }

 private:
  void validate_named(const std::string& path) const {
    try {
      validate(spec_);
    } catch (const Fault& fault) {
      throw Fault(fault.kind(), fault.text(), path);
    }
  }

  // rope_freqs holds 1 for pairs that rotate on full layers, 1e30 for those that do not.
  int rope_pairs() const {
    if (spec_full_dim() == 0) return 0;
    const TensorInfo* factors = find_unsorted(tensors_, "rope_freqs.weight");
    if (!factors || factors->type != DType::f32 || factors->elements() != spec_full_dim() / 2)
      throw Fault(FaultKind::input,
                  "tensor rope_freqs.weight [" + std::to_string(spec_full_dim() / 2) +
                      "] f32 is missing or misshapen; the full layers' rotation depends on it",
                  files_[0].path());
    const TensorBytes bytes = map(*factors);
    const auto* values = reinterpret_cast<const float*>(bytes.get());
    return static_cast<int>(std::count_if(values, values + factors->elements(),
                                          [](float f) { return f < kNoRotation; }));
  }
  int spec_full_dim() const {
    for (const LayerSpec& layer : spec_.layers)
      if (layer.full) return layer.head_dim;
    return 0;
  }

  std::vector<MappedFile> files_;
  std::map<std::string, GgufValue> metadata_;
  std::vector<TensorInfo> tensors_;
  ModelSpec spec_;
};

// All parts of a split file, from the name of any; one path for a single file.
std::vector<std::string> parts_of(const std::string& path) {
  static const std::regex pattern(R"((.*)-(\d{5})-of-(\d{5})\.gguf$)");
  std::smatch match;
  if (!std::regex_match(path, match, pattern)) return {path};
  std::vector<std::string> parts;
  const int count = std::stoi(match[3]);
  for (int i = 1; i <= count; ++i) {
    char tail[32];
    std::snprintf(tail, sizeof(tail), "-%05d-of-%05d.gguf", i, count);
    parts.push_back(match[1].str() + tail);
  }
  if (parts.empty()) throw Fault(FaultKind::input, path + " names itself a part of 0 files");
  return parts;
}

}  // namespace

std::unique_ptr<ModelSource> open_gguf(const std::string& path) {
  return std::make_unique<GgufSource>(parts_of(path));
}

}  // namespace potluck
