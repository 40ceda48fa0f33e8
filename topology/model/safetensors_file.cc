// Reads the header of one safetensors file.
#include "topology/model/safetensors_file.h"

#include <cstring>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/json_text.h"
#include "topology/model/quantized_checkpoint.h"

namespace potluck {
namespace {

constexpr uint64_t kHeaderBytesMax = 100'000'000;  // the format's own limit

// 0: unknown. The types under 8 bits are packed without gaps.
int dtype_bits(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64" || dtype == "C64") return 64;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 32;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 16;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL" || dtype.starts_with("F8_")) return 8;
  if (dtype == "F6_E2M3" || dtype == "F6_E3M2") return 6;
  if (dtype == "F4") return 4;
  return 0;
}

RawTensor read_entry(const std::string& name, const JsonFields& entry, uint64_t base,
                     uint64_t file_bytes) {
  const auto refuse = [&](const std::string& why) {
    entry.refuse("tensor " + name + " " + why, "download the file again");
  };
  RawTensor tensor;
  tensor.name = name;
  tensor.dtype = entry.text("dtype");
  tensor.shape = entry.sizes("shape");
  const std::vector<int64_t> range = entry.sizes("data_offsets");
  const uint64_t bits = dtype_bits(tensor.dtype);
  if (!bits)
    entry.refuse("tensor " + name + " has the unknown dtype " + tensor.dtype, kTakeUnquantized);
  if (range.size() != 2 || range[0] > range[1] ||
      static_cast<uint64_t>(range[1]) > file_bytes - base)
    refuse("reaches past the end of the file (" + std::to_string(file_bytes) + " bytes)");
  uint64_t elements = 1;
  for (int64_t extent : tensor.shape) {
    if (extent > 0 && elements > 8 * file_bytes / extent)
      refuse("has the impossible shape " + shape_text(tensor.shape));
    elements *= extent;
  }
  tensor.bytes = range[1] - range[0];
  const uint64_t expected = (elements * bits + 7) / 8;
  if (tensor.bytes != expected)
    entry.refuse("tensor " + name + " of shape " + shape_text(tensor.shape) + " has " +
                     std::to_string(tensor.bytes) + " bytes, not the " + std::to_string(expected) +
                     " that " + tensor.dtype + " takes",
                 "whoever wrote the file made a mistake: take another file of the model");
  tensor.offset = base + range[0];
  return tensor;
}

}  // namespace

std::vector<RawTensor> read_safetensors(const MappedFile& file) {
  uint64_t header = 0;
  if (file.size() < sizeof(header))
    throw Fault(FaultKind::input, "the file is too short for safetensors", Fix{"download it again"},
                file.path());
  std::memcpy(&header, file.map(0, sizeof(header)).get(), sizeof(header));
  if (header > kHeaderBytesMax || header > file.size() - sizeof(header))
    throw Fault(FaultKind::input,
                "claims a header of " + std::to_string(header) + " bytes in a file of " +
                    std::to_string(file.size()) + ", so it is truncated or no safetensors file",
                Fix{"download it again"}, file.path());
  const TensorBytes bytes = file.map(sizeof(header), header);
  const auto root = parse_json({reinterpret_cast<const char*>(bytes.get()), header}, file.path());
  const JsonFields directory(root, file.path());
  std::vector<RawTensor> tensors;
  for (const std::string& name : directory.keys())
    if (name != "__metadata__")
      tensors.push_back(
          read_entry(name, directory.object(name), sizeof(header) + header, file.size()));
  return tensors;
}

}  // namespace potluck
