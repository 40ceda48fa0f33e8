// Reads the header of one GGUF file behind a cursor that cannot leave it.
#include "topology/model/gguf_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "topology/base/fault.h"
#include "topology/model/tensor_directory.h"

namespace potluck {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint32_t kVersion = 3;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint32_t kDimensionsMax = 4;
// Limits well above any published file, so that a damaged count or length allocates little before
// it is seen: the released model's directory has 16 MB, 692 tensors, and 514,906 merges.
constexpr uint64_t kDirectoryBytesMax = 256 << 20;
constexpr uint64_t kTensorsMax = 1 << 17;
constexpr uint64_t kKeysMax = 1 << 16;
constexpr uint64_t kArrayValuesMax = 1 << 24;
constexpr uint64_t kNameBytesMax = 1024;
// Types of metadata values, and the bytes of each that has a fixed size.
enum : uint32_t { kString = 8, kArray = 9, kTypeCount = 13 };
constexpr uint8_t kValueBytes[kTypeCount] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

// Thrown where the header goes on behind the bytes that are known.
struct GoesOn {};

// Reads metadata and directory: the first kDirectoryBytesMax bytes of the file at most.
class Cursor {
 public:
  Cursor(const std::byte* data, uint64_t have, uint64_t file_bytes, std::string name)
      : data_(data),
        have_(have),
        file_bytes_(file_bytes),
        bytes_(std::min(file_bytes, kDirectoryBytesMax)),
        name_(std::move(name)) {}

  [[noreturn]] void refuse(const std::string& why, const std::string& fix = "") const {
    throw Fault(FaultKind::input, why, Fix{fix}, name_);
  }

  void need(uint64_t bytes, const std::string& what) const {
    if (bytes > bytes_ - at_)
      refuse(
          what + " needs " + std::to_string(bytes) + " bytes at byte " + std::to_string(at_) +
              (bytes_ == file_bytes_ ? ", the file ends after " : ", the directory's limit is ") +
              std::to_string(bytes_ - at_) + " more",
          "download it again");
    if (bytes > have_ - at_) throw GoesOn();
  }

  template <typename T>
  T read(const std::string& what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, data_ + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  std::string read_string(const std::string& what) {
    const auto length = read<uint64_t>(what);
    need(length, what);
    std::string text(reinterpret_cast<const char*>(data_ + at_), length);
    at_ += length;
    return text;
  }

  double read_number(uint32_t type, const std::string& what) {
    switch (type) {
      case 0:
        return read<uint8_t>(what);
      case 1:
        return read<int8_t>(what);
      case 2:
        return read<uint16_t>(what);
      case 3:
        return read<int16_t>(what);
      case 4:
        return read<uint32_t>(what);
      case 5:
        return read<int32_t>(what);
      case 6:
        return read<float>(what);
      case 7:
        return read<uint8_t>(what) != 0;
      case 10:
        return read<uint64_t>(what);
      case 11:
        return read<int64_t>(what);
      case 12:
        return read<double>(what);
    }
    refuse(what + " has the unknown value type " + std::to_string(type));
  }

  uint64_t at() const { return at_; }
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t left() const { return bytes_ - at_; }
  const std::string& name() const { return name_; }

 private:
  const std::byte* data_;
  uint64_t have_, file_bytes_, bytes_, at_ = 0;
  std::string name_;
};

GgufArray read_array(Cursor& in, const std::string& key) {
  GgufArray array;
  array.type = in.read<uint32_t>(key);
  const auto count = in.read<uint64_t>(key);
  if (array.type >= kTypeCount || array.type == kArray)
    in.refuse(key + " is an array of the unknown type " + std::to_string(array.type));
  const uint64_t least = array.type == kString ? 8 : kValueBytes[array.type];
  const uint64_t most = std::min(in.left() / least, kArrayValuesMax);
  if (count > most)
    in.refuse(key + " claims " + std::to_string(count) + " values, more than the " +
                  std::to_string(most) + " that fit",
              "download it again");
  for (uint64_t i = 0; i < count; ++i)
    if (array.type == kString)
      array.strings.push_back(in.read_string(key));
    else
      array.numbers.push_back(in.read_number(array.type, key));
  return array;
}

void read_metadata(Cursor& in, uint64_t count, GgufContents& contents) {
  for (uint64_t i = 0; i < count; ++i) {
    const std::string key = in.read_string("metadata key " + std::to_string(i));
    const auto type = in.read<uint32_t>(key);
    GgufValue value;
    if (type == kString)
      value = in.read_string(key);
    else if (type == kArray)
      value = read_array(in, key);
    else
      value = in.read_number(type, key);
    if (!contents.metadata.emplace(key, std::move(value)).second)
      in.refuse("metadata key " + key + " appears twice");
  }
}

TensorInfo read_tensor(Cursor& in, uint64_t index) {
  TensorInfo tensor;
  tensor.name = in.read_string("the name of tensor " + std::to_string(index));
  if (tensor.name.size() > kNameBytesMax)
    in.refuse("tensor " + std::to_string(index) + " has a name of " +
              std::to_string(tensor.name.size()) + " bytes");
  const auto dimensions = in.read<uint32_t>(tensor.name);
  if (dimensions < 1 || dimensions > kDimensionsMax)
    in.refuse("tensor " + tensor.name + " has " + std::to_string(dimensions) + " dimensions",
              "it must be 1 to 4");
  for (uint32_t d = 0; d < dimensions; ++d) tensor.shape.push_back(in.read<int64_t>(tensor.name));
  std::reverse(tensor.shape.begin(), tensor.shape.end());  // ggml's innermost comes first
  const auto type = in.read<uint32_t>(tensor.name);
  const auto known = dtype_from_ggml(type);
  if (!known)
    in.refuse("tensor " + tensor.name + " has type " + ggml_type_name(type),
              "potluck reads " + supported_dtypes());
  tensor.type = *known;
  tensor.bytes = checked_bytes(*known, tensor.shape, tensor.name, in.name());
  tensor.offset = in.read<uint64_t>(tensor.name);
  return tensor;
}

uint64_t alignment_of(const Cursor& in, const GgufContents& contents) {
  const auto found = contents.metadata.find("general.alignment");
  if (found == contents.metadata.end()) return kDefaultAlignment;
  const double* value = std::get_if<double>(&found->second);
  const auto alignment =
      value && *value >= 1 && *value <= 65536 ? static_cast<uint64_t>(*value) : 0;
  if (!std::has_single_bit(alignment))
    in.refuse("general.alignment is not a power of two up to 65536",
              "take another file of the model");
  return alignment;
}

void place_tensors(const Cursor& in, GgufContents& contents) {
  const uint64_t alignment = alignment_of(in, contents);
  const uint64_t base = (in.at() + alignment - 1) / alignment * alignment;
  for (TensorInfo& tensor : contents.tensors) {
    if (tensor.offset % alignment)
      in.refuse("tensor " + tensor.name + " begins at byte " + std::to_string(tensor.offset) +
                ", not a multiple of " + std::to_string(alignment));
    const bool inside = base <= in.file_bytes() && tensor.offset <= in.file_bytes() - base &&
                        tensor.bytes <= in.file_bytes() - base - tensor.offset;
    if (!inside)
      in.refuse("tensor " + tensor.name + " (" + std::to_string(tensor.bytes) + " bytes at " +
                    std::to_string(tensor.offset) + ") reaches past the end of the file (" +
                    std::to_string(in.file_bytes()) + " bytes)",
                "download it again");
    tensor.offset += base;
  }
}

GgufContents read_header(Cursor& in) {
  if (in.read<uint32_t>("the magic number") != kMagic)
    in.refuse("this is not a GGUF file (its first bytes are not \"GGUF\")");
  const auto version = in.read<uint32_t>("the version");
  if (version == __builtin_bswap32(kVersion))
    in.refuse("the file is of a big-endian machine", "take a little-endian one");
  if (version != kVersion)
    in.refuse("GGUF version " + std::to_string(version), "potluck reads version 3");
  const auto tensors = in.read<uint64_t>("the tensor count");
  const auto metadata = in.read<uint64_t>("the metadata count");
  // A tensor takes at least 32 bytes of directory, a key at least 13.
  const uint64_t tensors_max = std::min(kTensorsMax, in.left() / 32);
  const uint64_t keys_max = std::min(kKeysMax, in.left() / 13);
  if (tensors > tensors_max || metadata > keys_max)
    in.refuse("claims " + std::to_string(tensors) + " tensors and " + std::to_string(metadata) +
                  " metadata keys, more than the " + std::to_string(tensors_max) + " and " +
                  std::to_string(keys_max) + " that fit in this file",
              "download it again");
  GgufContents contents;
  read_metadata(in, metadata, contents);
  for (uint64_t i = 0; i < tensors; ++i) contents.tensors.push_back(read_tensor(in, i));
  place_tensors(in, contents);
  contents.header_bytes = in.at();
  return contents;
}

}  // namespace

GgufContents read_gguf(const std::byte* data, uint64_t bytes, const std::string& name) {
  Cursor in(data, bytes, bytes, name);
  return read_header(in);
}

std::optional<GgufContents> read_gguf_beginning(const std::byte* data, uint64_t have,
                                                uint64_t file_bytes, const std::string& name) {
  Cursor in(data, have, file_bytes, name);
  try {
    return read_header(in);
  } catch (const GoesOn&) {
    return std::nullopt;
  }
}

}  // namespace potluck
