// Puts the shards of a checkpoint together as one model with GGUF's names.
#include "topology/model/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/joined_tensors.h"
#include "topology/model/json_text.h"
#include "topology/model/partial_copy.h"
#include "topology/model/quantized_checkpoint.h"
#include "topology/model/safetensors_config.h"
#include "topology/model/safetensors_file.h"
#include "topology/model/stray_tensors.h"
#include "topology/model/tensor_directory.h"
#include "topology/model/tensor_table.h"
#include "topology/model/tokenizer_json.h"

namespace potluck {
namespace {

TensorInfo text_tensor(const RawTensor& raw, const std::string& name, int file,
                       const std::string& path) {
  static const std::map<std::string, DType> kTypes = {
      {"F32", DType::f32}, {"F16", DType::f16}, {"BF16", DType::bf16}};
  const auto type = kTypes.find(raw.dtype);
  if (type == kTypes.end()) {
    const auto what = quantized_dtype(raw.dtype);
    throw Fault(
        FaultKind::input,
        "tensor " + raw.name + " has dtype " + raw.dtype + (what ? ": this is " + *what : ""),
        Fix{kTakeUnquantized}, path);
  }
  checked_bytes(type->second, raw.shape, raw.name, path);
  return {name, type->second, raw.shape, raw.bytes, raw.offset, file};
}

// A tensor that the table lacks.
struct Stray {
  RawTensor raw;
  int file;  // as a tensor's
};

class SafetensorsSource final : public ModelSource {
 public:
  SafetensorsSource(const std::string& folder, std::vector<std::string> notes)
      : folder_(folder), notes_(std::move(notes)) {
    CheckpointConfig config = read_config(folder);
    spec_ = std::move(config.spec);
    notes_.insert(notes_.end(), config.notes.begin(), config.notes.end());
    for (const std::string& name : shard_names()) add_shard(folder + "/" + name);
    for (size_t i = 0; i < spec_.layers.size(); ++i) {
      LayerSpec& layer = spec_.layers[i];
      layer.has_v = !layer.full || find_unsorted(tensors_, layer_tensor_name(i, "attn_v.weight"));
    }
    check_places(tensors_, folder);
    join_experts(tensors_, spec_, folder, Naming::published);
    check_directory(tensors_, spec_, folder, Naming::published);
    check_left_over();
    check_strays(config.tied);
    if (senses_) notes_.push_back(senses_note(senses_));
    if (partial_) add_partial_note();
  }

  const ModelSpec& spec() const override { return spec_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TensorBytes map(const TensorInfo& tensor) const override {
    return map_tensor(files_, checks_, tensor);
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
  std::vector<std::string> notes() const override { return notes_; }

 private:
  void add_partial_note() {
    const std::string note = partial_note(*this);
    if (!note.empty()) notes_.push_back(note);
  }

  std::vector<std::string> shard_names() const {
    const std::string index = folder_ + "/model.safetensors.index.json";
    if (!std::filesystem::exists(index)) return {"model.safetensors"};
    const nlohmann::json root = parse_json(read_text_file(index, kJsonBytesMax), index);
    const JsonFields map = JsonFields(root, index).object("weight_map");
    std::set<std::string> names;
    for (const std::string& tensor : map.keys()) {
      const std::string name = map.text(tensor);
      if (name.empty() || name.find('/') != std::string::npos || name.front() == '.')
        map.refuse(
            "tensor " + tensor + " is in \"" + name + "\", which is not a file of this folder",
            "download the index again");
      names.insert(name);
    }
    if (names.empty()) map.refuse("\"weight_map\" names no file", "download the index again");
    size_t number = 0;
    for (const std::string& name : names) {
      ++number;
      if (!std::filesystem::exists(folder_ + "/" + name))
        map.refuse("shard " + std::to_string(number) + " of " + std::to_string(names.size()) +
                       " is missing: there is no " + name,
                   "download it into the same folder");
    }
    return {names.begin(), names.end()};
  }

  void add_shard(const std::string& path) {
    const int file = files_.size();
    const std::optional<PartialCopy> partial = checks_.add(files_.emplace_back(path));
    if (partial) partial_ = true;
    for (const RawTensor& raw : read_header(file)) {
      auto name = gguf_name(raw.name);
      if (!name) name = piece_name(raw.name);
      if (name) published_.emplace(*name, raw.name);
      const int place = !partial || partial->holds(raw.offset, raw.bytes) ? file : ~file;
      if (name)
        tensors_.push_back(text_tensor(raw, *name, place, path));
      else if (of_other_senses(raw.name))
        ++senses_;
      else
        strays_.push_back({raw, place});
    }
  }

  // A copy's header that cannot be read may have changed since it came.
  std::vector<RawTensor> read_header(size_t file) const {
    try {
      std::vector<RawTensor> raws = read_safetensors(files_[file]);
      uint64_t header = files_[file].size();
      for (const RawTensor& raw : raws) header = std::min(header, raw.offset);
      checks_.check(file, files_[file], 0, header);
      return raws;
    } catch (const Fault&) {
      checks_.check(file, files_[file], 0, files_[file].size());
      throw;
    }
  }

  // Tensors with a name of the text model's that this one has no place for: of a layer or an expert
  // too many.
  void check_left_over() const {
    const std::set<std::string> known = tensor_names(spec_);
    for (const TensorInfo& tensor : tensors_)
      if (!known.count(tensor.name))
        refuse_stray(published_.at(tensor.name), tensor.shape_text(),
                     files_[file_index(tensor.file)].path());
  }

  // An untied model is refused by the name of what it has of its own.
  void check_strays(bool tied) const {
    for (const Stray& stray : strays_)
      if (!is_copy(stray))
        refuse_stray(stray.raw.name, shape_text(stray.raw.shape),
                     files_[file_index(stray.file)].path());
    if (!tied)
      throw Fault(FaultKind::input, "\"tie_word_embeddings\" is false",
                  Fix{"potluck runs models whose head and encoder are tied to their decoder"},
                  folder_ + "/config.json");
  }

  // A partial copy lacks copies.
  bool is_copy(const Stray& stray) const {
    const TensorInfo* of = find_tensor(*this, tied_to(stray.raw.name));
    if (!of || of->shape != stray.raw.shape || of->bytes != stray.raw.bytes) return false;
    return stray.file < 0 || !is_here(*of) ||
           std::memcmp(map(*of).get(),
                       files_[stray.file].map(stray.raw.offset, stray.raw.bytes).get(),
                       of->bytes) == 0;
  }

  std::string folder_;
  std::vector<MappedFile> files_;
  PieceChecks checks_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> published_;  // names, by GGUF's
  ModelSpec spec_;
  std::vector<std::string> notes_;
  std::vector<Stray> strays_;
  size_t senses_ = 0;     // vision's tensors and audio's
  bool partial_ = false;  // a shard of it at least
};

}  // namespace

std::unique_ptr<ModelSource> open_safetensors(const std::string& folder,
                                              std::vector<std::string> notes) {
  return std::make_unique<SafetensorsSource>(folder, std::move(notes));
}

}  // namespace potluck
