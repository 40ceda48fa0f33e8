// The tensors of a DiffusionGemma text model: one table with a row for each, read by whoever checks
// a file's directory, knows a published checkpoint's names, makes a model up or loads one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "topology/model/model_spec.h"

namespace potluck {

// How much a backend that rounds must keep in a matrix' products: no more than usual, 16 bits of x,
// or 16 bits of x and of W. Raw matrices have no such products: operations of their own read the
// file's blocks (embedding, vocabulary, router).
enum class Care : uint8_t { usual, fine, finest, raw };

enum class Owner : uint8_t { head, layer };

// The layers that have a tensor: every layer, those that store a V projection, or whichever the
// file gives it to.
enum class Presence : uint8_t { always, stores_v, optional };

// The length of one side; none ends a shape.
enum class Side : uint8_t {
  none,
  one,
  hidden,        // H
  intermediate,  // I
  expert_pair,   // 2·M, gate and up
  expert_inner,  // M
  experts,       // N
  vocab,         // V
  queries,       // heads · D
  keys,          // kv_heads · D
  head_dim       // D
};

struct TensorRow {
  Owner owner;
  const char* name;           // GGUF's; a layer's stands behind "blk.K."
  const char* published;      // a checkpoint's; a layer's stands behind "layers.K."
  std::array<Side, 3> shape;  // outermost first
  Care care = Care::usual;    // of a matrix
  bool floats_only = false;   // a matrix that files never quantize
  Presence presence = Presence::always;
  bool encoder = false;  // published with the encoder's tensors, not with the decoder's
};

// A checkpoint's names begin with one of these; TensorRow::published follows.
inline constexpr std::string_view kDecoderPrefix = "model.decoder.";
inline constexpr std::string_view kEncoderPrefix = "model.encoder.language_model.";

std::span<const TensorRow> tensor_table();
// The row of this name; CHECKs that there is one.
const TensorRow& tensor_row(std::string_view name);

// A tensor that a model of a spec has.
struct TensorNeed {
  std::string name;            // GGUF's in full: "blk.3.attn_q.weight"
  std::string published;       // "model.decoder.layers.3.self_attn.q_proj.weight"
  std::vector<int64_t> shape;  // outermost first: [experts, out, in], [out, in] or [n]
  bool optional = false;
  const TensorRow* row = nullptr;
};
std::set<std::string> tensor_names(const ModelSpec& spec);  // of all that follow
// In the table's order.
std::vector<TensorNeed> layer_tensors(const ModelSpec& spec, int layer);
std::vector<TensorNeed> head_tensors(const ModelSpec& spec);

std::string layer_tensor_name(int layer, std::string_view name);  // "blk.3.attn_q.weight"

// GGUF's full name of a tensor by its published one; nothing for one that the text model lacks.
std::optional<std::string> gguf_name(std::string_view published);

}  // namespace potluck
