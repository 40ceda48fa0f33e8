// TensorFile: the recorded tensors of one safetensors file, by name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "topology/model/safetensors_file.h"

namespace potluck {

class TensorFile final {
 public:
  explicit TensorFile(const std::string& path);
  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  // These throw Fault{input} for a missing tensor or another dtype.
  std::vector<float> floats(const std::string& name) const { return read<float>(name, "F32"); }
  std::vector<int32_t> ids(const std::string& name) const { return read<int32_t>(name, "I32"); }
  std::vector<uint8_t> bytes(const std::string& name) const { return read<uint8_t>(name, "U8"); }

 private:
  template <typename T>
  std::vector<T> read(const std::string& name, const std::string& dtype) const;

  MappedFile file_;
  std::map<std::string, RawTensor> tensors_;
};

}  // namespace potluck
