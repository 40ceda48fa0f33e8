// Puts the shards of a checkpoint together as one model with GGUF's names.
#include "topology/model/safetensors.h"

#include <filesystem>
#include <map>
#include <set>

#include "topology/base/fault.h"
#include "topology/model/json_text.h"
#include "topology/model/safetensors_config.h"
#include "topology/model/safetensors_file.h"
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
  if (type == kTypes.end())
    throw Fault(FaultKind::input, "tensor " + raw.name + " has dtype " + raw.dtype,
                Fix{"potluck reads F32, F16, BF16 from safetensors"}, path);
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
      layer.has_v = !layer.full || find_unsorted(tensors_, layer_tensor_name(i, "attn_v.weight"));
    }
    check_directory(tensors_, spec_, folder, Naming::published);
  }

  const ModelSpec& spec() const override { return spec_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TensorBytes map(const TensorInfo& tensor) const override {
    return files_[tensor.file].map(tensor.offset, tensor.bytes);
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
    files_.emplace_back(path);
    for (const RawTensor& raw : read_safetensors(files_.back())) {
      const auto name = gguf_name(raw.name);
      if (name)
        tensors_.push_back(text_tensor(raw, *name, files_.size() - 1, path));
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
