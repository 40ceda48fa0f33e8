// One safetensors file: its directory, and where each tensor's bytes lie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "topology/model/mapped_file.h"

namespace potluck {

struct RawTensor {
  std::string name;
  std::string dtype;  // "BF16", "F32", "I32", "U8", …
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // within the file
  uint64_t bytes = 0;
};

// The directory of one file; offsets, sizes and dtypes are checked. Throws Fault{input, …, path}.
std::vector<RawTensor> read_safetensors(const MappedFile& file);

}  // namespace potluck
