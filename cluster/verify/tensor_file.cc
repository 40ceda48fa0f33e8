// Finds recorded tensors by name and copies their values out.
#include "cluster/verify/tensor_file.h"

#include <cstring>

#include "topology/base/fault.h"
#include "topology/model/safetensors_file.h"

namespace potluck {

TensorFile::TensorFile(const std::string& path) : file_(path) {
  for (RawTensor& tensor : read_safetensors(file_)) tensors_[tensor.name] = tensor;
}

template <typename T>
std::vector<T> TensorFile::read(const std::string& name, const std::string& dtype) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw Fault(FaultKind::input, "tensor " + name + " is missing", file_.path());
  const RawTensor& tensor = found->second;
  if (tensor.dtype != dtype)
    throw Fault(FaultKind::input, "tensor " + name + " is " + tensor.dtype + ", not " + dtype,
                file_.path());
  std::vector<T> values(tensor.bytes / sizeof(T));
  if (!values.empty())
    std::memcpy(values.data(), file_.map(tensor.offset, tensor.bytes).get(), tensor.bytes);
  return values;
}

template std::vector<float> TensorFile::read(const std::string&, const std::string&) const;
template std::vector<int32_t> TensorFile::read(const std::string&, const std::string&) const;
template std::vector<uint8_t> TensorFile::read(const std::string&, const std::string&) const;

}  // namespace potluck
