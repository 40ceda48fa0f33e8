// Reads one GGUF file's metadata and tensor directory; every length is checked against what is left
// of the file before anything is allocated.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

struct GgufArray {
  uint32_t type = 0;
  std::vector<std::string> strings;  // of type string
  std::vector<double> numbers;       // of any other
};
using GgufValue = std::variant<double, std::string, GgufArray>;  // integers and bools as double

struct GgufContents {
  std::map<std::string, GgufValue> metadata;
  std::vector<TensorInfo> tensors;  // offsets within the file
  uint64_t header_bytes = 0;        // of metadata and directory
};

// data: the whole file. Throws Fault{input}, where = name.
GgufContents read_gguf(const std::byte* data, uint64_t bytes, const std::string& name);
// The same of a file of file_bytes whose first `have` bytes are known; nothing if the header does
// not end within them.
std::optional<GgufContents> read_gguf_beginning(const std::byte* data, uint64_t have,
                                                uint64_t file_bytes, const std::string& name);

}  // namespace potluck
