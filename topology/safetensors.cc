#include "topology/safetensors.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "topology/directory.h"
#include "topology/fault.h"
#include "topology/tokenizer_json.h"

namespace potluck {
namespace {

using nlohmann::json;
constexpr uint64_t kJsonBytesMax = 256u << 20;
constexpr char kDecoder[] = "model.decoder.";
constexpr char kEncoder[] = "model.encoder.language_model.";

json read_json(const std::string& path) {
  try {
    return json::parse(read_text_file(path, kJsonBytesMax));
  } catch (const json::exception& error) {
    throw Fault(FaultKind::input, std::string("not valid JSON: ") + error.what(), path);
  }
}

// Published names to GGUF's (model.md §8, §9.2); nothing: not a text tensor.
std::optional<std::string> gguf_name(const std::string& name) {
  static const std::map<std::string, std::string> kGlobal = {
      {"embed_tokens.weight", "token_embd.weight"},
      {"norm.weight", "output_norm.weight"},
      {"self_conditioning.pre_norm.weight", "self_cond_pre_norm.weight"},
      {"self_conditioning.gate_proj.weight", "self_cond_gate.weight"},
      {"self_conditioning.up_proj.weight", "self_cond_up.weight"},
      {"self_conditioning.down_proj.weight", "self_cond_down.weight"}};
  static const std::map<std::string, std::string> kLayer = {
      {"input_layernorm.weight", "attn_norm.weight"},
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
  const bool decoder = name.rfind(kDecoder, 0) == 0, encoder = name.rfind(kEncoder, 0) == 0;
  if (!decoder && !encoder) return std::nullopt;
  const std::string rest = name.substr(decoder ? sizeof(kDecoder) - 1 : sizeof(kEncoder) - 1);
  if (const auto found = kGlobal.find(rest); decoder && found != kGlobal.end())
    return found->second;
  if (rest.rfind("layers.", 0) != 0) return std::nullopt;
  const size_t dot = rest.find('.', 7);
  if (dot == std::string::npos) return std::nullopt;
  const auto found = kLayer.find(rest.substr(dot + 1));
  if (found == kLayer.end() || (encoder && found->first != "layer_scalar")) return std::nullopt;
  return "blk." + rest.substr(7, dot - 7) + "." + (encoder ? "enc_" : "") + found->second;
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

GenerationSpec read_generation(const std::string& path) {
  GenerationSpec g;
  if (!std::filesystem::exists(path)) return g;
  const json j = read_json(path);
  try {
    g.max_steps = j.value("max_denoising_steps", g.max_steps);
    g.t_min = j.value("t_min", g.t_min);
    g.t_max = j.value("t_max", g.t_max);
    g.stability_threshold = j.value("stability_threshold", g.stability_threshold);
    g.confidence_threshold = j.value("confidence_threshold", g.confidence_threshold);
    if (j.contains("sampler_config"))
      g.entropy_bound = j["sampler_config"].value("entropy_bound", g.entropy_bound);
    g.pad_id = j.value("pad_token_id", g.pad_id);
    g.bos_id = j.value("bos_token_id", g.bos_id);
    if (j.contains("eos_token_id"))
      g.eos_ids = j["eos_token_id"].is_array()
                      ? j["eos_token_id"].get<std::vector<int32_t>>()
                      : std::vector<int32_t>{j["eos_token_id"].get<int32_t>()};
  } catch (const json::exception& error) {
    throw Fault(FaultKind::input, error.what(), path);
  }
  return g;
}

void read_rope(const json& text, int full_dim, ModelSpec& spec) {
  if (!text.contains("rope_parameters")) {
    spec.rope_pairs_full = full_dim / 8;  // the published partial_rotary_factor, 0.25
    return;
  }
  const json& rope = text.at("rope_parameters");
  spec.rope_theta_full = rope.at("full_attention").at("rope_theta").get<float>();
  spec.rope_theta_sliding = rope.at("sliding_attention").at("rope_theta").get<float>();
  const double factor = rope.at("full_attention").value("partial_rotary_factor", 1.0);
  spec.rope_pairs_full = static_cast<int>(factor * full_dim / 2);
}

ModelSpec spec_of(const json& config) {
  const json& text = config.contains("text_config") ? config.at("text_config") : config;
  ModelSpec spec;
  spec.hidden = text.at("hidden_size");
  spec.intermediate = text.at("intermediate_size");
  spec.expert_intermediate = text.at("moe_intermediate_size");
  spec.experts = text.at("num_experts");
  spec.experts_used = text.at("top_k_experts");
  spec.heads = text.at("num_attention_heads");
  spec.vocab = text.at("vocab_size");
  spec.window = text.at("sliding_window");
  spec.context_max = text.at("max_position_embeddings");
  spec.canvas = config.at("canvas_length");
  spec.rms_eps = text.value("rms_norm_eps", 1e-6f);
  spec.softcap = text.value("final_logit_softcapping", 30.0f);
  spec.embed_scale = embed_scale_of(spec.hidden);
  const int kv = text.at("num_key_value_heads"), dim = text.at("head_dim");
  const int full_kv = text.value("num_global_key_value_heads", kv);
  const int full_dim = text.value("global_head_dim", dim);
  for (const json& type : text.at("layer_types")) {
    const auto name = type.get<std::string>();
    const bool full = name == "full_attention";
    if (!full && name != "sliding_attention")
      throw Fault(FaultKind::input, "layer_types has \"" + name +
                                        "\"; potluck knows sliding_attention and full_attention");
    spec.layers.push_back({full, full ? full_kv : kv, full ? full_dim : dim, true});
  }
  const auto count = text.value("num_hidden_layers", static_cast<int64_t>(spec.layers.size()));
  if (count != spec.layer_count())
    throw Fault(FaultKind::input, "num_hidden_layers is " + std::to_string(count) +
                                      ", layer_types has " + std::to_string(spec.layer_count()));
  read_rope(text, full_dim, spec);
  return spec;
}

class SafetensorsSource final : public ModelSource {
 public:
  explicit SafetensorsSource(const std::string& folder) : folder_(folder) {
    for (const std::string& name : shard_names()) add_shard(folder + "/" + name);
    const std::string path = folder + "/config.json";
    try {
      spec_ = spec_of(read_json(path));
    } catch (const json::exception& error) {
      throw Fault(FaultKind::input, error.what(), path);
    }
    spec_.name = std::filesystem::path(folder).filename().string();
    for (size_t i = 0; i < spec_.layers.size(); ++i) {
      LayerSpec& layer = spec_.layers[i];
      layer.has_v =
          !layer.full || find_unsorted(tensors_, "blk." + std::to_string(i) + ".attn_v.weight");
    }
    spec_.generation = read_generation(folder + "/generation_config.json");
    try {
      validate(spec_);
    } catch (const Fault& fault) {
      throw Fault(fault.kind(), fault.text(), path);
    }
    check_directory(tensors_, spec_, folder);
  }

  const ModelSpec& spec() const override { return spec_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TensorBytes map(const TensorInfo& tensor) const override {
    return files_[static_cast<size_t>(tensor.file)].map(tensor.offset, tensor.bytes);
  }
  Vocabulary vocabulary() const override {
    const std::string path = folder_ + "/tokenizer.json";
    return parse_tokenizer_json(read_text_file(path, kJsonBytesMax), path);
  }
  std::string description() const override {
    return "safetensors, " + std::to_string(tensors_.size()) + " text tensors, " +
           std::to_string(files_.size()) + (files_.size() == 1 ? " file" : " files");
  }
  std::vector<std::string> notes() const override {
    if (skipped_ == 0) return {};
    return {"skipped " + std::to_string(skipped_) +
            " tensors that are not of the text model (vision)"};
  }

 private:
  std::vector<std::string> shard_names() const {
    const std::string index = folder_ + "/model.safetensors.index.json";
    if (!std::filesystem::exists(index)) return {"model.safetensors"};
    std::set<std::string> names;
    try {
      const json root = read_json(index);
      for (const auto& [tensor, file] : root.at("weight_map").items()) {
        names.insert(file.get<std::string>());
        if (file.get<std::string>().find('/') != std::string::npos)
          throw Fault(FaultKind::input,
                      "shard " + file.get<std::string>() + " is outside the folder", index);
      }
    } catch (const json::exception& error) {
      throw Fault(FaultKind::input, error.what(), index);
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
