// Finds the pieces of the experts' tensors by name, and lays their stretches in order.
#include "topology/model/joined_tensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/tensor_table.h"

namespace potluck {
namespace {

// A part of an expert: "blk.K.ffn_gate.E.weight" and "blk.K.ffn_gate_exps.weight", published as
// "…experts.E.gate_proj" and "…experts.gate_proj".
struct Part {
  const char* name;
  const char* published;
};
constexpr Part kGate{"ffn_gate", "gate_proj"}, kUp{"ffn_up", "up_proj"},
    kGateUp{"ffn_gate_up", "gate_up_proj"}, kDown{"ffn_down", "down_proj"};

// A tensor of the table, and the parts whose rows follow each other in each expert.
struct Join {
  const char* name;
  std::vector<Part> parts;
};

constexpr std::string_view kDecoderLayers = "model.decoder.layers.", kExperts = "experts.",
                           kWeight = ".weight";

std::string stacked(const Part& part) {
  return std::string(part.name) + "_exps.weight";
}
std::string of_expert(const Part& part, int expert) {
  return std::string(part.name) + "." + std::to_string(expert) + ".weight";
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

class Joiner {
 public:
  Joiner(const std::vector<TensorInfo>& tensors, const ModelSpec& spec, const std::string& file,
         Naming naming)
      : spec_(spec), file_(file), naming_(naming) {
    for (const TensorInfo& tensor : tensors) by_name_.emplace(tensor.name, &tensor);
  }

  // Joins one tensor of a layer, if the layer has pieces of it.
  void join(int layer, const Join& how) {
    if (by_name_.count(layer_tensor_name(layer, how.name))) return;
    const bool in_stacks = has(layer, stacked(how.parts[0]));
    if (!in_stacks && !has(layer, of_expert(how.parts[0], 0))) return;
    TensorInfo whole{layer_tensor_name(layer, how.name)};
    int64_t rows = 0, columns = 0;
    for (int expert = 0; expert < spec_.experts; ++expert)
      for (const Part& part : how.parts) {
        const TensorInfo piece =
            in_stacks ? slice(layer, part, expert) : whole_piece(layer, part, expert);
        if (whole.stretches.empty()) {
          whole.type = piece.type;
          columns = piece.shape.back();
        }
        check_alike(piece, whole, columns);
        if (expert == 0) rows += piece.shape[0];
        whole.stretches.push_back({piece.file, piece.offset, piece.bytes});
        whole.bytes += piece.bytes;
      }
    whole.shape = {spec_.experts, rows, columns};
    if (whole.bytes != row_bytes(whole.type, spec_.experts * rows * columns))
      refuse("the pieces of " + whole.name + " have unlike shapes");
    joined_.push_back(std::move(whole));
  }

  bool is_piece(const std::string& name) const { return pieces_.count(name) != 0; }
  std::vector<TensorInfo> take_joined() { return std::move(joined_); }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw Fault(FaultKind::input, why, Fix{"take another file of the model"}, file_);
  }

  bool has(int layer, const std::string& name) const {
    return by_name_.count(layer_tensor_name(layer, name)) != 0;
  }

  const TensorInfo& need(int layer, const std::string& name, const std::string& published) {
    const std::string full = layer_tensor_name(layer, name);
    const auto found = by_name_.find(full);
    if (found == by_name_.end())
      refuse("tensor " +
             (naming_ == Naming::gguf
                  ? full
                  : std::string(kDecoderLayers) + std::to_string(layer) + "." + published) +
             " is missing");
    pieces_.insert(full);
    return *found->second;
  }

  TensorInfo whole_piece(int layer, const Part& part, int expert) {
    const TensorInfo& piece =
        need(layer, of_expert(part, expert),
             std::string(kExperts) + std::to_string(expert) + "." + part.published);
    if (piece.shape.size() != 2)
      refuse("tensor " + piece.name + " " + piece.shape_text() + " is not a matrix");
    return piece;
  }

  TensorInfo slice(int layer, const Part& part, int expert) {
    const TensorInfo& all = need(layer, stacked(part), std::string(kExperts) + part.published);
    if (all.shape.size() != 3 || all.shape[0] != spec_.experts)
      refuse("tensor " + all.name + " " + all.shape_text() + " is not of " +
             std::to_string(spec_.experts) + " experts");
    const uint64_t bytes = all.bytes / spec_.experts;
    TensorInfo piece = section(all, expert * bytes, bytes);
    piece.shape.erase(piece.shape.begin());
    return piece;
  }

  void check_alike(const TensorInfo& piece, const TensorInfo& whole, int64_t columns) const {
    if (piece.type != whole.type)
      refuse("tensor " + piece.name + " is " + dtype_name(piece.type) + " and belongs to " +
             whole.name + ", whose other pieces are " + dtype_name(whole.type));
    if (piece.shape.back() != columns)
      refuse("tensor " + piece.name + " " + piece.shape_text() + " has not the " +
             std::to_string(columns) + " columns of the other pieces of " + whole.name);
  }

  std::map<std::string, const TensorInfo*> by_name_;
  const ModelSpec& spec_;
  const std::string& file_;
  const Naming naming_;
  std::set<std::string> pieces_;
  std::vector<TensorInfo> joined_;
};

const std::vector<Join>& joins() {
  static const std::vector<Join> kJoins = {{"ffn_gate_up_exps.weight", {kGate, kUp}},
                                           {"ffn_gate_up_exps.weight", {kGateUp}},
                                           {"ffn_down_exps.weight", {kDown}}};
  return kJoins;
}

}  // namespace

std::optional<std::string> piece_name(std::string_view published) {
  if (!published.starts_with(kDecoderLayers)) return std::nullopt;
  const size_t dot = published.find('.', kDecoderLayers.size());
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view layer =
      published.substr(kDecoderLayers.size(), dot - kDecoderLayers.size());
  std::string_view rest = published.substr(dot + 1);
  if (!is_number(layer) || !rest.starts_with(kExperts)) return std::nullopt;
  rest.remove_prefix(kExperts.size());
  if (rest.ends_with(kWeight)) rest.remove_suffix(kWeight.size());
  const size_t end = rest.find('.');
  const std::string_view expert = end == std::string_view::npos ? "" : rest.substr(0, end);
  if (!expert.empty() && !is_number(expert)) return std::nullopt;
  if (!expert.empty()) rest.remove_prefix(end + 1);
  for (const Part& part : {kGate, kUp, kGateUp, kDown})
    if (rest == part.published)
      return "blk." + std::string(layer) + "." +
             (expert.empty() ? stacked(part)
                             : std::string(part.name) + "." + std::string(expert) + ".weight");
  return std::nullopt;
}

void join_experts(std::vector<TensorInfo>& tensors, const ModelSpec& spec, const std::string& file,
                  Naming naming) {
  Joiner joiner(tensors, spec, file, naming);
  for (int layer = 0; layer < spec.layer_count(); ++layer)
    for (const Join& join : joins()) joiner.join(layer, join);
  std::vector<TensorInfo> all = joiner.take_joined();
  for (TensorInfo& tensor : tensors)
    if (!joiner.is_piece(tensor.name)) all.push_back(std::move(tensor));
  tensors = std::move(all);
}

TensorBytes map_tensor(const std::vector<MappedFile>& files, const PieceChecks& checks,
                       const TensorInfo& tensor) {
  if (!is_here(tensor)) refuse_absent(tensor, files[file_index(tensor.file)].path());
  const auto map = [&](int file, uint64_t offset, uint64_t bytes) {
    checks.check(file, files[file], offset, bytes);
    return files[file].map(offset, bytes);
  };
  if (tensor.stretches.empty()) return map(tensor.file, tensor.offset, tensor.bytes);
  const std::shared_ptr<std::byte[]> bytes(new std::byte[tensor.bytes]);
  std::byte* to = bytes.get();
  for (const Stretch& stretch : tensor.stretches) {
    const TensorBytes from = map(stretch.file, stretch.offset, stretch.bytes);
    std::memcpy(to, from.get(), stretch.bytes);
    to += stretch.bytes;
  }
  return {bytes, bytes.get()};
}

TensorInfo section(const TensorInfo& tensor, uint64_t begin, uint64_t bytes) {
  TensorInfo part = tensor;
  part.bytes = bytes;
  part.offset += begin;
  part.stretches.clear();
  for (const Stretch& whole : tensor.stretches) {
    const uint64_t skipped = std::min(begin, whole.bytes);
    const uint64_t taken = std::min(bytes, whole.bytes - skipped);
    if (taken) part.stretches.push_back({whole.file, whole.offset + skipped, taken});
    begin -= skipped;
    bytes -= taken;
  }
  return part;
}

}  // namespace potluck
