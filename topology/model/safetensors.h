// Safetensors: the raw file form, and a published checkpoint's folder as a ModelSource.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "topology/model/mapped_file.h"
#include "topology/model/model_source.h"

namespace potluck {

struct RawTensor {
  std::string name;
  std::string dtype;  // "BF16", "F32", "I32", "U8", …
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // within the file
  uint64_t bytes = 0;
};

// The directory of one file; offsets, sizes and dtypes checked. Throws Fault{input, …, path}.
std::vector<RawTensor> read_safetensors(const MappedFile& file);

// A folder with config.json, model.safetensors or model.safetensors.index.json, tokenizer.json.
std::unique_ptr<ModelSource> open_safetensors(const std::string& folder);

}  // namespace potluck
