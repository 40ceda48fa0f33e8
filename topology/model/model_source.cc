#include "topology/model/model_source.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <tuple>

#include "topology/base/fault.h"
#include "topology/model/tensor_directory.h"

namespace potluck {

int64_t TensorInfo::elements() const {
  int64_t product = 1;
  for (int64_t extent : shape) product *= extent;
  return product;
}

std::string TensorInfo::shape_text() const {
  return shape_text_of(shape);
}

std::string shape_text_of(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (int64_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

const TensorInfo* find_tensor(const ModelSource& source, std::string_view name) {
  const auto& tensors = source.tensors();
  const auto found =
      std::lower_bound(tensors.begin(), tensors.end(), name,
                       [](const TensorInfo& t, std::string_view n) { return t.name < n; });
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

std::vector<TensorNeed> layer_tensors(const ModelSpec& spec, int index) {
  const LayerSpec& layer = spec.layers[static_cast<size_t>(index)];
  const int64_t h = spec.hidden, q = layer.q_width(spec.heads), kv = layer.kv_width();
  const int64_t i = spec.intermediate, m = spec.expert_intermediate, n = spec.experts;
  const int64_t d = layer.head_dim;
  std::vector<TensorNeed> needs = {{"attn_norm.weight", {h}, false},
                                   {"attn_q.weight", {q, h}, false},
                                   {"attn_k.weight", {kv, h}, false},
                                   {"attn_v.weight", {kv, h}, !layer.has_v},
                                   {"attn_output.weight", {h, q}, false},
                                   {"attn_q_norm.weight", {d}, false},
                                   {"attn_k_norm.weight", {d}, false},
                                   {"post_attention_norm.weight", {h}, false},
                                   {"ffn_norm.weight", {h}, false},
                                   {"ffn_gate.weight", {i, h}, false},
                                   {"ffn_up.weight", {i, h}, false},
                                   {"ffn_down.weight", {h, i}, false},
                                   {"post_ffw_norm_1.weight", {h}, false},
                                   {"pre_ffw_norm_2.weight", {h}, false},
                                   {"ffn_gate_inp.weight", {n, h}, false},
                                   {"ffn_gate_inp.scale", {h}, false},
                                   {"ffn_gate_up_exps.weight", {n, 2 * m, h}, false},
                                   {"ffn_down_exps.weight", {n, h, m}, false},
                                   {"ffn_down_exps.scale", {n}, false},
                                   {"post_ffw_norm_2.weight", {h}, false},
                                   {"post_ffw_norm.weight", {h}, false},
                                   {"layer_output_scale.weight", {1}, false},
                                   {"enc_layer_output_scale.weight", {1}, true}};
  for (TensorNeed& need : needs) need.name = "blk." + std::to_string(index) + "." + need.name;
  return needs;
}

std::vector<TensorNeed> head_tensors(const ModelSpec& spec) {
  const int64_t h = spec.hidden, i = spec.intermediate;
  return {{"token_embd.weight", {spec.vocab, h}, false}, {"output_norm.weight", {h}, false},
          {"self_cond_pre_norm.weight", {h}, false},     {"self_cond_gate.weight", {i, h}, false},
          {"self_cond_up.weight", {i, h}, false},        {"self_cond_down.weight", {h, i}, false}};
}

namespace {

void check_need(const TensorNeed& need, const std::map<std::string, const TensorInfo*>& by_name,
                const std::string& file, const NameInFile& name_in_file) {
  const auto found = by_name.find(need.name);
  if (found == by_name.end()) {
    if (need.optional) return;
    throw Fault(FaultKind::input,
                "tensor " + name_in_file(need.name) + " " + shape_text_of(need.shape) +
                    " is missing; download the file again",
                file);
  }
  if (found->second->shape != need.shape)
    throw Fault(FaultKind::input,
                "tensor " + name_in_file(need.name) + " has shape " + found->second->shape_text() +
                    ", the metadata ask for " + shape_text_of(need.shape) +
                    "; download the file again",
                file);
}

void check_overlaps(std::vector<const TensorInfo*> tensors, const std::string& file) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::tie(a->file, a->offset) < std::tie(b->file, b->offset);
  });
  for (size_t i = 1; i < tensors.size(); ++i) {
    const TensorInfo &a = *tensors[i - 1], &b = *tensors[i];
    if (a.file == b.file && a.offset + a.bytes > b.offset)
      throw Fault(FaultKind::input,
                  "tensors " + a.name + " and " + b.name + " overlap at byte " +
                      std::to_string(b.offset) + "; download the file again",
                  file);
  }
}

}  // namespace

uint64_t checked_bytes(DType type, const std::vector<int64_t>& shape, const std::string& name,
                       const std::string& file) {
  constexpr int64_t kElementsMax = std::numeric_limits<int64_t>::max() / 8;
  int64_t elements = 1;
  for (int64_t extent : shape) {
    if (extent < 1 || extent > kElementsMax / elements)
      throw Fault(FaultKind::input,
                  "tensor " + name + " has the impossible shape " + shape_text_of(shape) +
                      "; download the file again",
                  file);
    elements *= extent;
  }
  const int64_t block = block_shape(type).values;
  if (shape.empty() || shape.back() % block)
    throw Fault(FaultKind::input,
                "tensor " + name + " " + shape_text_of(shape) + ": rows of " + dtype_name(type) +
                    " must be a multiple of " + std::to_string(block),
                file);
  return row_bytes(type, elements);
}

void check_directory(std::vector<TensorInfo>& tensors, const ModelSpec& spec,
                     const std::string& file, const NameInFile& name_in_file) {
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  std::map<std::string, const TensorInfo*> by_name;
  std::vector<const TensorInfo*> all;
  for (const TensorInfo& tensor : tensors) {
    if (!by_name.emplace(tensor.name, &tensor).second)
      throw Fault(
          FaultKind::input,
          "tensor " + tensor.name + " stands twice in the directory; download the file again",
          file);
    all.push_back(&tensor);
  }
  for (const TensorNeed& need : head_tensors(spec)) check_need(need, by_name, file, name_in_file);
  for (int i = 0; i < spec.layer_count(); ++i)
    for (const TensorNeed& need : layer_tensors(spec, i))
      check_need(need, by_name, file, name_in_file);
  check_overlaps(std::move(all), file);
}

float embed_scale_of(int hidden) {
  return f32_from_bf16(bf16_from_f32(static_cast<float>(__builtin_sqrt(hidden))));
}

const TensorInfo* find_unsorted(const std::vector<TensorInfo>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorInfo& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

}  // namespace potluck
