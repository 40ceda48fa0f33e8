#include <cstring>
#include <nlohmann/json.hpp>

#include "topology/directory.h"
#include "topology/fault.h"
#include "topology/safetensors.h"

namespace potluck {
namespace {

constexpr uint64_t kHeaderBytesMax = 100'000'000;  // the format's own limit

int dtype_bytes(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL") return 1;
  return 0;
}

RawTensor read_entry(const std::string& name, const nlohmann::json& entry, uint64_t base,
                     const MappedFile& file) {
  const auto refuse = [&](const std::string& why) {
    throw Fault(FaultKind::input, "tensor " + name + " " + why, file.path());
  };
  RawTensor tensor;
  tensor.name = name;
  tensor.dtype = entry.at("dtype").get<std::string>();
  tensor.shape = entry.at("shape").get<std::vector<int64_t>>();
  const auto range = entry.at("data_offsets").get<std::vector<uint64_t>>();
  const int size = dtype_bytes(tensor.dtype);
  if (!size) refuse("has the unknown dtype " + tensor.dtype);
  if (range.size() != 2 || range[0] > range[1] || range[1] > file.size() - base)
    refuse("reaches past the end of the file (" + std::to_string(file.size()) +
           " bytes); download it again");
  uint64_t elements = 1;
  for (int64_t extent : tensor.shape) {
    if (extent < 0 || (extent > 0 && elements > file.size() / static_cast<uint64_t>(extent)))
      refuse("has the impossible shape " + shape_text_of(tensor.shape));
    elements *= static_cast<uint64_t>(extent);
  }
  tensor.bytes = range[1] - range[0];
  if (tensor.bytes != elements * static_cast<uint64_t>(size))
    refuse("of shape " + shape_text_of(tensor.shape) + " has " + std::to_string(tensor.bytes) +
           " bytes; " + std::to_string(elements * static_cast<uint64_t>(size)) + " expected");
  tensor.offset = base + range[0];
  return tensor;
}

}  // namespace

std::vector<RawTensor> read_safetensors(const MappedFile& file) {
  uint64_t header = 0;
  if (file.size() < sizeof(header))
    throw Fault(FaultKind::input, "too short for a safetensors file", file.path());
  std::memcpy(&header, file.map(0, sizeof(header)).get(), sizeof(header));
  if (header > kHeaderBytesMax || header > file.size() - sizeof(header))
    throw Fault(FaultKind::input,
                "claims a header of " + std::to_string(header) + " bytes in a file of " +
                    std::to_string(file.size()) + "; it is truncated or no safetensors file",
                file.path());
  const TensorBytes bytes = file.map(sizeof(header), header);
  const auto* text = reinterpret_cast<const char*>(bytes.get());
  std::vector<RawTensor> tensors;
  try {
    const auto json = nlohmann::json::parse(text, text + header);
    for (const auto& [name, entry] : json.items())
      if (name != "__metadata__")
        tensors.push_back(read_entry(name, entry, sizeof(header) + header, file));
  } catch (const nlohmann::json::exception& error) {
    throw Fault(FaultKind::input, std::string("its header is damaged: ") + error.what(),
                file.path());
  }
  return tensors;
}

}  // namespace potluck
