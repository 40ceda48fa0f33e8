#include "topology/model/safetensors.h"

#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "topology/base/fault.h"
#include "topology/model/json_text.h"
#include "topology/model/safetensors_config.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tokenizer_json.h"

namespace potluck {
namespace {

constexpr char kDecoder[] = "model.decoder.";
constexpr char kEncoder[] = "model.encoder.language_model.";

// Published names and GGUF's (model.md §8, §9.2): of the whole model, and of a layer.
using Names = std::map<std::string, std::string>;

const Names& global_names() {
  static const Names names = {{"embed_tokens.weight", "token_embd.weight"},
                              {"norm.weight", "output_norm.weight"},
                              {"self_conditioning.pre_norm.weight", "self_cond_pre_norm.weight"},
                              {"self_conditioning.gate_proj.weight", "self_cond_gate.weight"},
                              {"self_conditioning.up_proj.weight", "self_cond_up.weight"},
                              {"self_conditioning.down_proj.weight", "self_cond_down.weight"}};
  return names;
}

const Names& layer_names() {
  static const Names names = {{"input_layernorm.weight", "attn_norm.weight"},
                              {"self_attn.q_proj.weight", "attn_q.weight"},
                              {"self_attn.k_proj.weight", "attn_k.weight"},
                              {"self_attn.v_proj.weight", "attn_v.weight"},
                              {"self_attn.o_proj.weight", "attn_output.weight"},
                              {"self_attn.q_norm.weight", "attn_q_norm.weight"},
                              {"self_attn.k_norm.weight", "attn_k_norm.weight"},
                              {"post_attention_layernorm.weight", "post_attention_norm.weight"},
                              {"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
                              {"mlp.gate_proj.weight", "ffn_gate.weight"},
                              {"mlp.up_proj.weight", "ffn_up.weight"},
                              {"mlp.down_proj.weight", "ffn_down.weight"},
                              {"post_feedforward_layernorm_1.weight", "post_ffw_norm_1.weight"},
                              {"pre_feedforward_layernorm_2.weight", "pre_ffw_norm_2.weight"},
                              {"router.proj.weight", "ffn_gate_inp.weight"},
                              {"router.scale", "ffn_gate_inp.scale"},
                              {"router.per_expert_scale", "ffn_down_exps.scale"},
                              {"experts.gate_up_proj", "ffn_gate_up_exps.weight"},
                              {"experts.down_proj", "ffn_down_exps.weight"},
                              {"post_feedforward_layernorm_2.weight", "post_ffw_norm_2.weight"},
                              {"post_feedforward_layernorm.weight", "post_ffw_norm.weight"},
                              {"layer_scalar", "layer_output_scale.weight"}};
  return names;
}

// Nothing: not a text tensor.
std::optional<std::string> gguf_name(const std::string& name) {
  const bool decoder = name.rfind(kDecoder, 0) == 0, encoder = name.rfind(kEncoder, 0) == 0;
  if (!decoder && !encoder) return std::nullopt;
  const std::string rest = name.substr(decoder ? sizeof(kDecoder) - 1 : sizeof(kEncoder) - 1);
  if (const auto found = global_names().find(rest); decoder && found != global_names().end())
    return found->second;
  if (rest.rfind("layers.", 0) != 0) return std::nullopt;
  const size_t dot = rest.find('.', 7);
  if (dot == std::string::npos) return std::nullopt;
  const auto found = layer_names().find(rest.substr(dot + 1));
  if (found == layer_names().end() || (encoder && found->first != "layer_scalar"))
    return std::nullopt;
  return "blk." + rest.substr(7, dot - 7) + "." + (encoder ? "enc_" : "") + found->second;
}

// What a tensor is called in published files, for messages.
std::string published_name(const std::string& gguf) {
  for (const auto& [published, name] : global_names())
    if (name == gguf) return kDecoder + published;
  const size_t dot = gguf.find('.', 4);  // after "blk."
  for (const auto& [published, name] : layer_names())
    if (dot != std::string::npos && name == gguf.substr(dot + 1))
      return kDecoder + ("layers." + gguf.substr(4, dot - 4) + "." + published);
  return gguf;
}

TensorInfo text_tensor(const RawTensor& raw, const std::string& name, int file,
                       const std::string& path) {
  static const std::map<std::string, DType> kTypes = {
      {"F32", DType::f32}, {"F16", DType::f16}, {"BF16", DType::bf16}};
  const auto type = kTypes.find(raw.dtype);
  if (type == kTypes.end())
    throw Fault(FaultKind::input,
                "tensor " + raw.name + " has dtype " + raw.dtype +
                    "; potluck reads F32, F16, BF16 from safetensors",
                path);
  checked_bytes(type->second, raw.shape, raw.name, path);
  return {name, type->second, raw.shape, raw.bytes, raw.offset, file};
}

class SafetensorsSource final : public ModelSource {
 public:
  explicit SafetensorsSource(const std::string& folder) : folder_(folder) {
    for (const std::string& name : shard_names()) add_shard(folder + "/" + name);
    spec_ = read_config(folder);
    for (size_t i = 0; i < spec_.layers.size(); ++i) {
      LayerSpec& layer = spec_.layers[i];
      layer.has_v =
          !layer.full || find_unsorted(tensors_, "blk." + std::to_string(i) + ".attn_v.weight");
    }
    check_directory(tensors_, spec_, folder, published_name);
  }

  const ModelSpec& spec() const override { return spec_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TensorBytes map(const TensorInfo& tensor) const override {
    return files_[static_cast<size_t>(tensor.file)].map(tensor.offset, tensor.bytes);
  }
  void drop_cached() const override {
    for (const MappedFile& file : files_) file.drop_cached();
  }
  Vocabulary vocabulary() const override {
    const std::string path = folder_ + "/tokenizer.json";
    return parse_tokenizer_json(read_text_file(path, kJsonBytesMax), path, spec_.vocab);
  }
  std::string description() const override {
    return "safetensors, " + std::to_string(tensors_.size()) + " text tensors, " +
           std::to_string(files_.size()) + (files_.size() == 1 ? " file" : " files");
  }
  std::vector<std::string> notes() const override {
    if (skipped_ == 0) return {};
    return {"skipped " + std::to_string(skipped_) +
            (skipped_ == 1 ? " tensor that is" : " tensors that are") +
            " not of the text model (vision)"};
  }

 private:
  std::vector<std::string> shard_names() const {
    const std::string index = folder_ + "/model.safetensors.index.json";
    if (!std::filesystem::exists(index)) return {"model.safetensors"};
    const nlohmann::json root = parse_json(read_text_file(index, kJsonBytesMax), index);
    const JsonFields map = JsonFields(root, index).object("weight_map");
    std::set<std::string> names;
    for (const std::string& tensor : map.keys()) {
      const std::string name = map.text(tensor);
      if (name.empty() || name.find('/') != std::string::npos || name.front() == '.')
        map.refuse("tensor " + tensor + " is in \"" + name +
                   "\", which is not a file of this folder; download the index again");
      names.insert(name);
    }
    if (names.empty()) map.refuse("\"weight_map\" names no file; download the index again");
    size_t number = 0;
    for (const std::string& name : names) {
      ++number;
      if (!std::filesystem::exists(folder_ + "/" + name))
        map.refuse("shard " + std::to_string(number) + " of " + std::to_string(names.size()) +
                   " is missing: there is no " + name + "; download it into the same folder");
    }
    return {names.begin(), names.end()};
  }

  void add_shard(const std::string& path) {
    files_.emplace_back(path);
    for (const RawTensor& raw : read_safetensors(files_.back())) {
      const auto name = gguf_name(raw.name);
      if (name)
        tensors_.push_back(text_tensor(raw, *name, static_cast<int>(files_.size()) - 1, path));
      else
        ++skipped_;
    }
  }

  std::string folder_;
  std::vector<MappedFile> files_;
  std::vector<TensorInfo> tensors_;
  ModelSpec spec_;
  int skipped_ = 0;
};

}  // namespace

std::unique_ptr<ModelSource> open_safetensors(const std::string& folder) {
  return std::make_unique<SafetensorsSource>(folder);
}

}  // namespace potluck
