// Makes a model up: shapes by preset and key, bytes from a seed.
#include "topology/model/synthetic.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "topology/base/fault.h"
#include "topology/base/suggest.h"
#include "topology/model/json_text.h"
#include "topology/model/synthetic_blocks.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

constexpr int kTextVocabLeast = 262;  // 5 specials, 256 bytes, a space

// Shapes by preset; every number may be overridden by its name.
using Numbers = std::map<std::string, int64_t>;

Numbers preset(const std::string& name) {
  if (name == "nano")
    return {{"hidden", 64},        {"layers", 5},        {"heads", 4},
            {"kv_heads", 2},       {"full_kv_heads", 1}, {"head_dim", 16},
            {"full_head_dim", 32}, {"intermediate", 64}, {"expert_intermediate", 32},
            {"experts", 8},        {"experts_used", 2},  {"vocab", 512},
            {"canvas", 16},        {"window", 24},       {"context", 4096},
            {"full_every", 3},     {"seed", 1}};
  if (name == "released" || name == "real")
    return {{"hidden", 2816},
            {"layers", 30},
            {"heads", 16},
            {"kv_heads", 8},
            {"full_kv_heads", 2},
            {"head_dim", 256},
            {"full_head_dim", 512},
            {"intermediate", 2112},
            {"expert_intermediate", 704},
            {"experts", 128},
            {"experts_used", 8},
            {"vocab", 262144},
            {"canvas", 256},
            {"window", 1024},
            {"context", 262144},
            {"full_every", 6},
            {"seed", 1}};
  throw Fault(FaultKind::input, "synthetic preset \"" + name + "\" is unknown",
              Fix{"there are nano, released"});
}

std::vector<std::string_view> keys_of(const Numbers& numbers) {
  std::vector<std::string_view> keys{"type", "expert_type", "head_type"};
  for (const auto& [key, number] : numbers) keys.push_back(key);
  return keys;
}

struct Recipe {
  Numbers numbers;
  DType type = DType::q8_0;
  std::optional<DType> expert_type = {};  // none: as the others
  std::optional<DType> head_type = {};    // the same
};

DType type_of(const std::string& value) {
  const auto type = dtype_from_name(value);
  if (!type || !has_synthetic_blocks(*type))
    throw Fault(FaultKind::input, "synthetic type \"" + value + "\"",
                Fix{"there are " + synthetic_types()});
  return *type;
}

// Without full layers and with any seed there is a model; all else is 1 or more.
void read_number(const std::string& key, const std::string& value, Numbers& numbers) {
  const auto number = numbers.find(key);
  if (number == numbers.end())
    throw Fault(FaultKind::input, "synthetic key \"" + key + "\" is unknown",
                Fix{suggestion(key, keys_of(numbers))});
  const bool digits = !value.empty() && value.size() < 10 &&
                      value.find_first_not_of("0123456789") == std::string::npos;
  const int least = key == "full_every" || key == "seed" ? 0 : 1;
  if (!digits || std::stoll(value) < least)
    throw Fault(FaultKind::input,
                "synthetic " + key + "=\"" + value + "\" is no whole number from " +
                    std::to_string(least) + " to 999999999",
                Fix{"give one, like " + key + "=" + std::to_string(number->second)});
  number->second = std::stoll(value);
}

Recipe parse(const std::string& text) {
  const size_t mark = text.find('?');
  Recipe recipe{preset(text.substr(0, mark))};
  std::set<std::string> seen;
  std::istringstream rest(mark == std::string::npos ? "" : text.substr(mark + 1));
  for (std::string pair; std::getline(rest, pair, '&');) {
    const size_t equals = pair.find('=');
    const std::string key = pair.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : pair.substr(equals + 1);
    if (!seen.insert(key).second)
      throw Fault(FaultKind::input, "synthetic " + key + " appears twice", Fix{"give it once"});
    if (key == "type") {
      recipe.type = type_of(value);
      continue;
    }
    if (key == "expert_type") {
      recipe.expert_type = type_of(value);
      continue;
    }
    if (key == "head_type") {
      recipe.head_type = type_of(value);
      continue;
    }
    read_number(key, value, recipe.numbers);
  }
  return recipe;
}

ModelSpec spec_of(const Numbers& n) {
  const auto get = [&](const char* key) { return static_cast<int>(n.at(key)); };
  ModelSpec s;
  s.name = "synthetic";
  s.hidden = get("hidden");
  s.intermediate = get("intermediate");
  s.expert_intermediate = get("expert_intermediate");
  s.experts = get("experts");
  s.experts_used = get("experts_used");
  s.heads = get("heads");
  s.vocab = get("vocab");
  s.canvas = get("canvas");
  s.window = get("window");
  s.context_max = get("context");
  s.embed_scale = embed_scale_of(s.hidden);
  s.rope_pairs_full = get("full_head_dim") / 8;
  s.generation.eos_ids = {1};
  for (int i = 0; i < get("layers") && i <= 1024; ++i) {
    const bool full = get("full_every") > 0 && (i + 1) % get("full_every") == 0;
    s.layers.push_back({full, get(full ? "full_kv_heads" : "kv_heads"),
                        get(full ? "full_head_dim" : "head_dim"), !full});
  }
  validate(s);
  return s;
}

constexpr char kShapes[] = "a model's shapes";
constexpr std::pair<const char*, int ModelSpec::*> kSpecNumbers[] = {
    {"hidden", &ModelSpec::hidden},
    {"intermediate", &ModelSpec::intermediate},
    {"expert_intermediate", &ModelSpec::expert_intermediate},
    {"experts", &ModelSpec::experts},
    {"experts_used", &ModelSpec::experts_used},
    {"heads", &ModelSpec::heads},
    {"vocab", &ModelSpec::vocab},
    {"canvas", &ModelSpec::canvas},
    {"window", &ModelSpec::window},
    {"context_max", &ModelSpec::context_max},
    {"rope_pairs_full", &ModelSpec::rope_pairs_full},
};

ModelSpec spec_of(const JsonFields& fields) {
  ModelSpec s;
  s.name = "synthetic";
  for (const auto& [key, number] : kSpecNumbers) s.*number = fields.integer(key);
  s.softcap = fields.number("softcap");
  s.embed_scale = fields.number("embed_scale");
  s.rms_eps = fields.number("rms_eps");
  s.rope_theta_sliding = fields.number("rope_theta_sliding");
  s.rope_theta_full = fields.number("rope_theta_full");
  s.generation.t_max = fields.number("t_max");
  for (const nlohmann::json& each : fields.at("layers")) {
    const nlohmann::json layer = {{"layer", each}};
    const std::vector<int64_t> of = JsonFields(layer, kShapes).sizes("layer");
    if (of.size() != 4) fields.refuse("a layer has four numbers");
    s.layers.push_back({of[0] != 0, static_cast<int>(of[1]), static_cast<int>(of[2]), of[3] != 0});
  }
  validate(s);
  return s;
}

TensorInfo tensor_of(const JsonFields& fields) {
  const auto type = dtype_from_name(fields.text("type"));
  if (!type) fields.refuse("\"type\" is no type of tensors");
  TensorInfo tensor{fields.text("name"), *type, fields.sizes("shape")};
  tensor.bytes = checked_bytes(*type, tensor.shape, tensor.name, kShapes);
  return tensor;
}

class SyntheticSource final : public ModelSource {
 public:
  explicit SyntheticSource(const Recipe& recipe)
      : spec_(spec_of(recipe.numbers)), seed_(recipe.numbers.at("seed")) {
    for (const TensorNeed& need : head_tensors(spec_))
      add(need, recipe.head_type.value_or(recipe.type));
    for (int i = 0; i < spec_.layer_count(); ++i)
      for (const TensorNeed& need : layer_tensors(spec_, i))
        add(need, need.shape.size() == 3 ? recipe.expert_type.value_or(recipe.type) : recipe.type);
    uint64_t offset = 0;
    for (TensorInfo& tensor : tensors_) {
      tensor.offset = offset;
      offset += tensor.bytes;
    }
    check_directory(tensors_, spec_, "synthetic");
  }

  SyntheticSource(const ModelSpec& spec, const std::vector<TensorInfo>& tensors)
      : spec_(spec), seed_(1) {
    for (const TensorInfo& of : tensors) {
      TensorInfo& tensor = tensors_.emplace_back(TensorInfo{of.name, of.type, of.shape, of.bytes});
      tensor.recipe = recipe_of(of.name);
    }
  }

  const ModelSpec& spec() const override { return spec_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  void drop_cached() const override {}  // nothing lies in a file
  std::string description() const override {
    return "synthetic, " + std::to_string(tensors_.size()) + " tensors, made-up weights";
  }
  std::vector<std::string> notes() const override { return {}; }

  TensorBytes map(const TensorInfo& tensor) const override {
    const std::shared_ptr<std::byte[]> bytes(new std::byte[tensor.bytes]);
    if (tensor.type == DType::f32)
      fill_f32(tensor, tensor.recipe, reinterpret_cast<float*>(bytes.get()));
    else
      fill_blocks(tensor, tensor.recipe, bytes.get());
    return {bytes, bytes.get()};
  }

  // Bytes by name, printable ASCII, and fillers, so that text goes in and out.
  Vocabulary vocabulary() const override {
    if (spec_.vocab < kTextVocabLeast)
      throw Fault(FaultKind::input,
                  "a synthetic vocabulary of " + std::to_string(spec_.vocab) + " ids has no text",
                  Fix{"give vocab=" + std::to_string(kTextVocabLeast) + " or more"});
    Vocabulary v;
    v.tokens = {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>"};
    v.types.assign(5, TokenType::control);
    for (int b = 0; b < 256; ++b) {
      char name[8];
      std::snprintf(name, sizeof(name), "<0x%02X>", b);
      v.tokens.push_back(name);
      v.types.push_back(TokenType::byte);
    }
    v.tokens.push_back("\xE2\x96\x81");
    v.types.push_back(TokenType::normal);
    while (v.tokens.size() < static_cast<size_t>(spec_.vocab)) {
      v.tokens.push_back(std::string("t").append(std::to_string(v.tokens.size())));
      v.types.push_back(TokenType::normal);
    }
    return v;
  }

 private:
  void add(const TensorNeed& need, DType type) {
    const bool floats = need.shape.size() == 1 || need.row->floats_only;
    const DType stored = floats ? DType::f32 : synthetic_type(type, need.shape.back());
    TensorInfo tensor{need.name, stored, need.shape};
    tensor.bytes = checked_bytes(stored, need.shape, need.name, "synthetic");
    tensor.recipe = recipe_of(need.name);
    tensors_.push_back(std::move(tensor));
  }

  Digest recipe_of(const std::string& name) const {
    Digest recipe = seed_;
    for (char c : name) recipe = synthetic_mix(recipe ^ static_cast<unsigned char>(c));
    return recipe;
  }

  // Norms and scales lie within 1 ± ½; router weights within ± √(3/in).
  static void fill_f32(const TensorInfo& tensor, uint64_t state, float* out) {
    const bool matrix = tensor.shape.size() > 1;
    const float reach = matrix ? std::sqrt(3.0f / tensor.shape.back()) : 0.5f;
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      const auto u = (synthetic_mix(state + i) >> 40) * 0x1p-23f - 1.0f;
      out[i] = (matrix ? 0.0f : 1.0f) + reach * u;
    }
  }

  // q8_0: uniform q in [−127, 127] with d so that a value's variance is 1/in; embeddings: 1/in as
  // well.
  static void fill_blocks(const TensorInfo& tensor, uint64_t state, std::byte* out) {
    const float reach = std::sqrt(3.0f / tensor.shape.back());
    if (!has_synthetic_blocks(tensor.type)) {
      std::fill_n(out, tensor.bytes, std::byte{});
      return;
    }
    if (tensor.type != DType::bf16 && tensor.type != DType::q8_0)
      return synthetic_blocks(tensor.type, std::sqrt(1.0f / tensor.shape.back()), state, out,
                              tensor.bytes);
    if (tensor.type == DType::bf16) {
      auto* values = reinterpret_cast<uint16_t*>(out);
      for (uint64_t i = 0; i < tensor.bytes / 2; ++i) {
        const auto u = (synthetic_mix(state + i) >> 40) * 0x1p-23f - 1.0f;
        values[i] = bf16_from_f32(reach * u);
      }
      return;
    }
    const uint16_t d = f16_from_f32(reach / 127.0f);
    for (uint64_t block = 0; block < tensor.bytes / 34; ++block) {
      std::byte* b = out + block * 34;
      std::memcpy(b, &d, 2);
      for (uint64_t word = 0; word < 4; ++word) {
        const uint64_t bits = synthetic_mix(state + block * 4 + word);
        std::memcpy(b + 2 + word * 8, &bits, 8);
      }
    }
  }

  ModelSpec spec_;
  uint64_t seed_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace

std::unique_ptr<ModelSource> make_twin(const ModelSource& model) {
  return std::make_unique<SyntheticSource>(model.spec(), model.tensors());
}

std::unique_ptr<ModelSource> make_twin(const std::string& shapes) {
  const nlohmann::json root = parse_json(shapes, kShapes);
  const JsonFields fields(root, kShapes);
  const ModelSpec spec = spec_of(fields);
  std::vector<TensorInfo> tensors;
  for (const nlohmann::json& each : fields.at("tensors"))
    tensors.push_back(tensor_of(JsonFields(each, kShapes)));
  check_directory(tensors, spec, kShapes);
  return std::make_unique<SyntheticSource>(spec, tensors);
}

std::string shapes_text(const ModelSource& model) {
  const ModelSpec& s = model.spec();
  nlohmann::json root = {{"softcap", s.softcap},
                         {"embed_scale", s.embed_scale},
                         {"rms_eps", s.rms_eps},
                         {"rope_theta_sliding", s.rope_theta_sliding},
                         {"rope_theta_full", s.rope_theta_full},
                         {"t_max", s.generation.t_max}};
  for (const auto& [key, number] : kSpecNumbers) root[key] = s.*number;
  for (const LayerSpec& layer : s.layers)
    root["layers"].push_back({int{layer.full}, layer.kv_heads, layer.head_dim, int{layer.has_v}});
  for (const TensorInfo& tensor : model.tensors())
    root["tensors"].push_back(
        {{"name", tensor.name}, {"type", dtype_name(tensor.type)}, {"shape", tensor.shape}});
  return root.dump();
}

std::unique_ptr<ModelSource> make_synthetic(const std::string& text) {
  return std::make_unique<SyntheticSource>(parse(text));
}

}  // namespace potluck
