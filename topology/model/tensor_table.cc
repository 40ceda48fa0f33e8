// The table of tensors, and the names and shapes that a spec gives its rows (shard/MODEL.md §8,
// §9.2).
#include "topology/model/tensor_table.h"

#include <algorithm>

#include "topology/base/check.h"

namespace potluck {
namespace {

constexpr std::string_view kLayersPrefix = "layers.";

constexpr Owner kHead = Owner::head, kLayer = Owner::layer;
using enum Side;

// Attention's scores are q·k unscaled, so its three projections are fine. Self-conditioning carries
// a step's rounding into the next, several times as large, so its matrices are finest.
constexpr TensorRow kTable[] = {
    {kHead, "token_embd.weight", "embed_tokens.weight", {vocab, hidden}, Care::raw},
    {kHead, "output_norm.weight", "norm.weight", {hidden}},
    {kHead, "self_cond_pre_norm.weight", "self_conditioning.pre_norm.weight", {hidden}},
    {kHead,
     "self_cond_gate.weight",
     "self_conditioning.gate_proj.weight",
     {intermediate, hidden},
     Care::finest},
    {kHead,
     "self_cond_up.weight",
     "self_conditioning.up_proj.weight",
     {intermediate, hidden},
     Care::finest},
    {kHead,
     "self_cond_down.weight",
     "self_conditioning.down_proj.weight",
     {hidden, intermediate},
     Care::finest},
    {kLayer, "attn_norm.weight", "input_layernorm.weight", {hidden}},
    {kLayer, "attn_q.weight", "self_attn.q_proj.weight", {queries, hidden}, Care::fine},
    {kLayer, "attn_k.weight", "self_attn.k_proj.weight", {keys, hidden}, Care::fine},
    {kLayer,
     "attn_v.weight",
     "self_attn.v_proj.weight",
     {keys, hidden},
     Care::fine,
     false,
     Presence::stores_v},
    {kLayer, "attn_output.weight", "self_attn.o_proj.weight", {hidden, queries}},
    {kLayer, "attn_q_norm.weight", "self_attn.q_norm.weight", {head_dim}},
    {kLayer, "attn_k_norm.weight", "self_attn.k_norm.weight", {head_dim}},
    {kLayer, "post_attention_norm.weight", "post_attention_layernorm.weight", {hidden}},
    {kLayer, "ffn_norm.weight", "pre_feedforward_layernorm.weight", {hidden}},
    {kLayer, "ffn_gate.weight", "mlp.gate_proj.weight", {intermediate, hidden}},
    {kLayer, "ffn_up.weight", "mlp.up_proj.weight", {intermediate, hidden}},
    {kLayer, "ffn_down.weight", "mlp.down_proj.weight", {hidden, intermediate}},
    {kLayer, "post_ffw_norm_1.weight", "post_feedforward_layernorm_1.weight", {hidden}},
    {kLayer, "pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight", {hidden}},
    {kLayer, "ffn_gate_inp.weight", "router.proj.weight", {experts, hidden}, Care::raw, true},
    {kLayer, "ffn_gate_inp.scale", "router.scale", {hidden}},
    {kLayer, "ffn_gate_up_exps.weight", "experts.gate_up_proj", {experts, expert_pair, hidden}},
    {kLayer, "ffn_down_exps.weight", "experts.down_proj", {experts, hidden, expert_inner}},
    {kLayer, "ffn_down_exps.scale", "router.per_expert_scale", {experts}},
    {kLayer, "post_ffw_norm_2.weight", "post_feedforward_layernorm_2.weight", {hidden}},
    {kLayer, "post_ffw_norm.weight", "post_feedforward_layernorm.weight", {hidden}},
    {kLayer, "layer_output_scale.weight", "layer_scalar", {one}},
    {kLayer,
     "enc_layer_output_scale.weight",
     "layer_scalar",
     {one},
     Care::usual,
     false,
     Presence::optional,
     true}};

// `layer` counts for a layer's tensors alone.
int64_t extent(Side side, const ModelSpec& spec, const LayerSpec& layer) {
  switch (side) {
    case none:
      return 0;
    case one:
      return 1;
    case hidden:
      return spec.hidden;
    case intermediate:
      return spec.intermediate;
    case expert_pair:
      return 2 * int64_t{spec.expert_intermediate};
    case expert_inner:
      return spec.expert_intermediate;
    case experts:
      return spec.experts;
    case vocab:
      return spec.vocab;
    case queries:
      return layer.q_width(spec.heads);
    case keys:
      return layer.kv_width();
    case head_dim:
      return layer.head_dim;
  }
  return 0;
}

std::vector<int64_t> shape_of(const TensorRow& row, const ModelSpec& spec, const LayerSpec& layer) {
  std::vector<int64_t> shape;
  for (const Side side : row.shape)
    if (side != none) shape.push_back(extent(side, spec, layer));
  return shape;
}

std::string published_prefix(const TensorRow& row) {
  return std::string(row.encoder ? kEncoderPrefix : kDecoderPrefix);
}

}  // namespace

std::span<const TensorRow> tensor_table() {
  return kTable;
}

const TensorRow& tensor_row(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTable), std::end(kTable),
                                   [&](const TensorRow& row) { return row.name == name; });
  CHECK(found != std::end(kTable), name);
  return *found;
}

std::string layer_tensor_name(int layer, std::string_view name) {
  return "blk." + std::to_string(layer) + "." + std::string(name);
}

std::vector<TensorNeed> layer_tensors(const ModelSpec& spec, int index) {
  const LayerSpec& layer = spec.layers[index];
  std::vector<TensorNeed> needs;
  for (const TensorRow& row : kTable) {
    if (row.owner != Owner::layer || (row.presence == Presence::stores_v && !layer.has_v)) continue;
    const std::string published = published_prefix(row) + std::string(kLayersPrefix) +
                                  std::to_string(index) + "." + row.published;
    needs.push_back({layer_tensor_name(index, row.name), published, shape_of(row, spec, layer),
                     row.presence == Presence::optional, &row});
  }
  return needs;
}

std::vector<TensorNeed> head_tensors(const ModelSpec& spec) {
  std::vector<TensorNeed> needs;
  for (const TensorRow& row : kTable)
    if (row.owner == Owner::head)
      needs.push_back(
          {row.name, published_prefix(row) + row.published, shape_of(row, spec, {}), false, &row});
  return needs;
}

std::set<std::string> tensor_names(const ModelSpec& spec) {
  std::set<std::string> names;
  for (const TensorNeed& need : head_tensors(spec)) names.insert(need.name);
  for (int i = 0; i < spec.layer_count(); ++i)
    for (const TensorNeed& need : layer_tensors(spec, i)) names.insert(need.name);
  return names;
}

std::optional<std::string> gguf_name(std::string_view published) {
  const bool encoder = published.starts_with(kEncoderPrefix);
  if (!encoder && !published.starts_with(kDecoderPrefix)) return std::nullopt;
  std::string_view rest = published.substr(encoder ? kEncoderPrefix.size() : kDecoderPrefix.size());
  std::string prefix;
  const bool of_layer = rest.starts_with(kLayersPrefix);
  if (of_layer) {
    const size_t dot = rest.find('.', kLayersPrefix.size());
    if (dot == std::string_view::npos) return std::nullopt;
    prefix =
        "blk." + std::string(rest.substr(kLayersPrefix.size(), dot - kLayersPrefix.size())) + ".";
    rest.remove_prefix(dot + 1);
  }
  for (const TensorRow& row : kTable)
    if (row.encoder == encoder && (row.owner == Owner::layer) == of_layer && row.published == rest)
      return prefix + row.name;
  return std::nullopt;
}

}  // namespace potluck
