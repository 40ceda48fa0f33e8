// Writes a tiny model as GGUF and as safetensors, for tests to damage.
#include "tests/topology/model/tiny_model.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tensor_table.h"
#include "topology/plan/plan_check.h"

namespace potluck {
namespace {

using nlohmann::json;

constexpr uint32_t kUint32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7, kText = 8, kArray = 9,
                   kFloat64 = 12;
constexpr uint64_t kAlignment = 32;
const char* const kTokens[] = {"<pad>",   "<eos>",  "<bos>",   "<unk>",  "<mask>",
                               "<turn|>", "a",      "b",       "c",      "ab",
                               "abc",     "\u2581", "\u2581a", "<0x41>", "<0xC3>"};
constexpr int kSpecials = 6, kUserDefined = 5;
const std::pair<const char*, const char*> kMerges[] = {{"a", "b"}, {"ab", "c"}, {"\u2581", "a"}};

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_text(std::string& out, const std::string& text) {
  append<uint64_t>(out, text.size());
  out += text;
}

void append_number(std::string& out, uint32_t type, double value) {
  if (type == kUint32) return append(out, static_cast<uint32_t>(value));
  if (type == kInt32) return append(out, static_cast<int32_t>(value));
  if (type == kFloat32) return append(out, static_cast<float>(value));
  if (type == kBool) return append(out, static_cast<uint8_t>(value));
  append(out, value);
}

// The narrowest type that holds the number, as converters choose them.
uint32_t number_type(double value) {
  if (value == std::floor(value) && value >= 0 && value < 4e9) return kUint32;
  return static_cast<double>(static_cast<float>(value)) == value ? kFloat32 : kFloat64;
}

void append_value(std::string& out, const GgufValue& value) {
  if (const auto* number = std::get_if<double>(&value)) {
    append(out, number_type(*number));
    return append_number(out, number_type(*number), *number);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    append(out, kText);
    return append_text(out, *text);
  }
  const auto& array = std::get<GgufArray>(value);
  append(out, kArray);
  append(out, array.type);
  append<uint64_t>(out, array.type == kText ? array.strings.size() : array.numbers.size());
  for (const std::string& text : array.strings) append_text(out, text);
  for (double number : array.numbers) append_number(out, array.type, number);
}

void pad(std::string& out) {
  out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment);
}

std::vector<TensorNeed> needs_of(const ModelSpec& spec) {
  std::vector<TensorNeed> needs = head_tensors(spec);
  for (int i = 0; i < spec.layer_count(); ++i)
    for (const TensorNeed& need : layer_tensors(spec, i)) needs.push_back(need);
  return needs;
}

// A checkpoint's names, written out again so that a slip in the tensor table is seen.
const char* const kLayerNames[] = {"input_layernorm.weight",
                                   "self_attn.q_proj.weight",
                                   "self_attn.k_proj.weight",
                                   "self_attn.v_proj.weight",
                                   "self_attn.o_proj.weight",
                                   "self_attn.q_norm.weight",
                                   "self_attn.k_norm.weight",
                                   "post_attention_layernorm.weight",
                                   "pre_feedforward_layernorm.weight",
                                   "mlp.gate_proj.weight",
                                   "mlp.up_proj.weight",
                                   "mlp.down_proj.weight",
                                   "post_feedforward_layernorm_1.weight",
                                   "pre_feedforward_layernorm_2.weight",
                                   "router.proj.weight",
                                   "router.scale",
                                   "experts.gate_up_proj",
                                   "experts.down_proj",
                                   "router.per_expert_scale",
                                   "post_feedforward_layernorm_2.weight",
                                   "post_feedforward_layernorm.weight",
                                   "layer_scalar"};
const char* const kHeadNames[] = {"embed_tokens.weight",
                                  "norm.weight",
                                  "self_conditioning.pre_norm.weight",
                                  "self_conditioning.gate_proj.weight",
                                  "self_conditioning.up_proj.weight",
                                  "self_conditioning.down_proj.weight"};

std::string safetensors_bytes(
    const std::vector<std::pair<std::string, std::vector<int64_t>>>& all) {
  json header = json::object();
  uint64_t at = 0;
  for (const auto& [name, shape] : all) {
    uint64_t bytes = 2;
    for (int64_t extent : shape) bytes *= static_cast<uint64_t>(extent);
    header[name] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  const std::string text = header.dump();
  std::string out;
  append<uint64_t>(out, text.size());
  out += text;
  for (uint64_t i = 0; i < at / 2; ++i) append<uint16_t>(out, 0x3C00);  // 2⁻⁷
  return out;
}

std::string tokenizer_json() {
  json vocab = json::object(), added = json::array();
  for (size_t i = 0; i < std::size(kTokens); ++i) vocab[kTokens[i]] = i;
  for (int i = 0; i < kSpecials; ++i)
    added.push_back({{"id", i}, {"content", kTokens[i]}, {"special", i != kUserDefined}});
  json merges = json::array();
  for (const auto& [left, right] : kMerges) merges.push_back(json::array({left, right}));
  const json model = {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}};
  const json space = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
  return json{{"model", model}, {"added_tokens", added}, {"normalizer", space}}.dump();
}

}  // namespace

ModelSpec tiny_spec() {
  ModelSpec s;
  s.name = "tiny";
  s.hidden = 8;
  s.intermediate = 4;
  s.expert_intermediate = 2;
  s.experts = 2;
  s.experts_used = 1;
  s.heads = 2;
  s.vocab = 16;
  s.canvas = 4;
  s.window = 6;
  s.context_max = 64;
  s.embed_scale = embed_scale_of(s.hidden);
  s.rope_pairs_full = 1;
  s.layers = {{false, 1, 4, true}, {true, 1, 8, false}};
  validate(s);
  return s;
}

std::string gguf_bytes(const GgufContents& contents, const std::vector<std::string>& data) {
  std::string out = "GGUF", body;
  append<uint32_t>(out, 3);
  append<uint64_t>(out, contents.tensors.size());
  append<uint64_t>(out, contents.metadata.size());
  for (const auto& [key, value] : contents.metadata) {
    append_text(out, key);
    append_value(out, value);
  }
  for (size_t i = 0; i < contents.tensors.size(); ++i) {
    const TensorInfo& tensor = contents.tensors[i];
    append_text(out, tensor.name);
    append(out, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t d = tensor.shape.size(); d-- > 0;) append(out, tensor.shape[d]);
    append(out, static_cast<uint32_t>(tensor.type));
    append<uint64_t>(out, body.size());
    body += data[i];
    pad(body);
  }
  pad(out);
  return out + body;
}

TinyGguf tiny_gguf() {
  const ModelSpec spec = tiny_spec();
  TinyGguf tiny;
  const auto add = [&](const std::string& name, DType type, const std::vector<int64_t>& shape) {
    TensorInfo tensor{name, type, shape, 0, 0, 0};
    tensor.bytes = checked_bytes(type, shape, name, "tiny");
    tiny.data.emplace_back(tensor.bytes, '\0');
    tiny.contents.tensors.push_back(std::move(tensor));
  };
  for (const TensorNeed& need : needs_of(spec))
    add(need.name, need.shape.size() == 1 ? DType::f32 : DType::bf16, need.shape);
  add("rope_freqs.weight", DType::f32, {4});
  const float factors[] = {1, 1e30f, 1e30f, 1e30f};
  std::memcpy(tiny.data.back().data(), factors, sizeof(factors));

  auto& m = tiny.contents.metadata;
  const auto set = [&m](const std::string& name, double value) {
    m["diffusion-gemma." + name] = value;
  };
  m["general.architecture"] = std::string("diffusion-gemma");
  m["general.name"] = spec.name;
  m["diffusion.canvas_length"] = double(spec.canvas);
  m["diffusion.eb_t_min"] = 0.4;
  set("block_count", spec.layer_count());
  set("context_length", spec.context_max);
  set("embedding_length", spec.hidden);
  set("feed_forward_length", spec.intermediate);
  set("expert_feed_forward_length", spec.expert_intermediate);
  set("expert_count", spec.experts);
  set("expert_used_count", spec.experts_used);
  set("attention.head_count", spec.heads);
  m["diffusion-gemma.attention.head_count_kv"] = GgufArray{kInt32, {}, {1, 1}};
  m["diffusion-gemma.attention.sliding_window_pattern"] = GgufArray{kBool, {}, {1, 0}};
  set("attention.key_length", spec.layers[1].head_dim);
  set("attention.key_length_swa", spec.layers[0].head_dim);
  set("attention.sliding_window", spec.window);
  set("attention.layer_norm_rms_epsilon", double(spec.rms_eps));
  set("rope.freq_base", 1e6);
  GgufArray tokens{kText, {}, {}}, types{kInt32, {}, {}};
  for (const char* token : kTokens) {
    const auto at = static_cast<int>(tokens.strings.size());
    tokens.strings.push_back(token);
    types.numbers.push_back(at >= 13 ? 6 : at >= kSpecials ? 1 : at == kUserDefined ? 4 : 3);
  }
  m["tokenizer.ggml.tokens"] = tokens;
  m["tokenizer.ggml.token_type"] = types;
  GgufArray merges{kText, {}, {}};
  for (const auto& [left, right] : kMerges)
    merges.strings.push_back(std::string(left).append(" ").append(right));
  m["tokenizer.ggml.merges"] = merges;
  return tiny;
}

TinyCheckpoint tiny_checkpoint() {
  const ModelSpec s = tiny_spec();
  const json rope = {{"full_attention", {{"rope_theta", 1e6}, {"partial_rotary_factor", 0.25}}},
                     {"sliding_attention", {{"rope_theta", 1e4}}}};
  const json text = {{"hidden_size", s.hidden},
                     {"intermediate_size", s.intermediate},
                     {"moe_intermediate_size", s.expert_intermediate},
                     {"num_experts", s.experts},
                     {"top_k_experts", s.experts_used},
                     {"num_attention_heads", s.heads},
                     {"num_key_value_heads", 1},
                     {"head_dim", s.layers[0].head_dim},
                     {"global_head_dim", s.layers[1].head_dim},
                     {"vocab_size", s.vocab},
                     {"sliding_window", s.window},
                     {"max_position_embeddings", s.context_max},
                     {"rms_norm_eps", 1e-6},
                     {"layer_types", {"sliding_attention", "full_attention"}},
                     {"rope_parameters", rope}};
  std::vector<std::pair<std::string, std::vector<int64_t>>> tensors;
  const auto head = head_tensors(s);
  for (size_t i = 0; i < head.size(); ++i)
    tensors.emplace_back(std::string("model.decoder.") + kHeadNames[i], head[i].shape);
  for (int layer = 0; layer < s.layer_count(); ++layer) {
    const std::string prefix = "model.decoder.layers." + std::to_string(layer) + ".";
    const auto needs = layer_tensors(s, layer);
    size_t next = 0;
    for (const char* name : kLayerNames)
      if (s.layers[static_cast<size_t>(layer)].has_v || name != kLayerNames[3])
        tensors.emplace_back(prefix + name, needs[next++].shape);
  }
  tensors.emplace_back("model.encoder.vision_tower.std_bias", std::vector<int64_t>{3});
  return {
      json{{"text_config", text}, {"canvas_length", s.canvas}}.dump(),
      R"({"max_denoising_steps":8,"sampler_config":{"entropy_bound":0.1},"eos_token_id":[1,5]})",
      tokenizer_json(), safetensors_bytes(tensors)};
}

int touch(const ModelSource& source) {
  int sum = 0;
  for (const TensorInfo& tensor : source.tensors()) {
    const TensorBytes bytes = source.map(tensor);
    sum += static_cast<int>(bytes.get()[0]) + static_cast<int>(bytes.get()[tensor.bytes - 1]);
  }
  try {
    sum += static_cast<int>(source.vocabulary().tokens.size());
  } catch (const Fault&) {  // the model runs all the same, on ids
  }
  return sum;
}

}  // namespace potluck
