// Writes and reads the file of code objects, and chooses among them.
#include "backends/gpu/code_objects.h"

#include <charconv>
#include <cstring>
#include <optional>

#include "backends/gpu/kernels.h"
#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/model/fingerprint.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

constexpr char kMagic[8] = {'p', 'o', 't', 'l', 'u', 'c', 'k', 'G'};
constexpr uint32_t kVersion = 1;
constexpr uint64_t kFileBytesMax = 256 << 20;  // fifty architectures of 5 MB
constexpr uint32_t kObjectsMax = 64;           // more than there are architectures
constexpr uint64_t kAlignment = 256;

// The file's own layout, in the byte order of every machine that has a card.
struct Header {
  char magic[8];
  uint32_t version, count;
  Digest kernels;  // kernels_digest() of the program that wrote it
  Digest table;    // of the entries
};
struct Entry {
  char architecture[16];  // padded with zeros
  uint64_t offset, bytes;
  Digest digest;
};

Digest kernels_digest() {
  Digest digest = 0;
  for (const gpu::KernelFacts& kernel : gpu::kKernels) {
    digest = digest_bytes(kernel.name, std::strlen(kernel.name), digest);
    digest = digest_bytes(&kernel.threads, sizeof(kernel.threads), digest);
    digest = digest_bytes(&kernel.operand_bytes, sizeof(kernel.operand_bytes), digest);
  }
  return digest;
}

uint64_t aligned(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

template <typename Value>
void append(std::string& file, const Value& value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Fault(FaultKind::input, why, Fix{"build or install potluck again"}, path);
}

Header read_header(const std::string& file, const std::string& path) {
  Header header{};
  if (file.size() >= sizeof(header)) std::memcpy(&header, file.data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    refuse(path, "is no file of GPU code objects");
  if (header.version != kVersion)
    refuse(path, "has version " + std::to_string(header.version) + ", and this potluck reads " +
                     std::to_string(kVersion));
  if (header.count > kObjectsMax || header.count * sizeof(Entry) > file.size() - sizeof(header))
    refuse(path, "claims " + std::to_string(header.count) + " code objects in " +
                     std::to_string(file.size()) + " bytes");
  if (digest_bytes(file.data() + sizeof(header), header.count * sizeof(Entry)) != header.table)
    refuse(path, "has a damaged table of architectures");
  if (header.kernels != kernels_digest()) refuse(path, "holds other kernels than this potluck has");
  return header;
}

CodeObject read_object(const std::string& file, const Entry& entry, const std::string& path) {
  const size_t length = strnlen(entry.architecture, sizeof(entry.architecture));
  CodeObject object{{entry.architecture, length}, {}};
  if (entry.offset > file.size() || entry.bytes > file.size() - entry.offset)
    refuse(path, "ends within the code for " + object.architecture);
  object.code = file.substr(entry.offset, entry.bytes);
  if (digest_bytes(object.code.data(), object.code.size()) != entry.digest)
    refuse(path, "has damaged code for " + object.architecture);
  return object;
}

// "sm_90a" is 90, and true.
struct Capability {
  int number = 0;
  bool own_only = false;
};

std::optional<Capability> capability_of(std::string_view architecture) {
  if (!architecture.starts_with("sm_")) return {};
  const char* end = architecture.data() + architecture.size();
  Capability capability;
  const auto [rest, error] = std::from_chars(architecture.data() + 3, end, capability.number);
  const std::string_view suffix(rest, static_cast<size_t>(end - rest));
  for (const int jetson : {53, 62, 72, 87, 88, 101, 110})
    capability.own_only |= capability.number == jetson;
  capability.own_only |= suffix == "a";
  if (error != std::errc() || (!suffix.empty() && suffix != "a")) return {};
  return capability;
}

bool runs(const Capability& code, const Capability& card) {
  if (code.number == card.number) return true;
  return code.number / 10 == card.number / 10 && code.number < card.number && !code.own_only &&
         !card.own_only;
}

// The best is the card's own number, and there the code that runs on no other.
bool is_better(const Capability& one, const Capability& other) {
  if (one.number != other.number) return one.number > other.number;
  return one.own_only && !other.own_only;
}

const CodeObject* find_object(const std::vector<CodeObject>& objects, std::string_view wanted) {
  const auto card = capability_of(wanted);
  const CodeObject* best = nullptr;
  for (const CodeObject& object : objects) {
    if (object.architecture == wanted) return &object;
    const auto code = capability_of(object.architecture);
    if (card && code && runs(*code, *card) &&
        (!best || is_better(*code, *capability_of(best->architecture))))
      best = &object;
  }
  return best;
}

}  // namespace

std::string code_objects_file(const std::vector<CodeObject>& objects) {
  CHECK(objects.size() <= kObjectsMax);
  std::string table, code;
  uint64_t offset = aligned(sizeof(Header) + objects.size() * sizeof(Entry));
  for (const CodeObject& object : objects) {
    Entry entry{{}, offset, object.code.size(), {}};
    CHECK(object.architecture.size() <= sizeof(entry.architecture));
    object.architecture.copy(entry.architecture, sizeof(entry.architecture));
    entry.digest = digest_bytes(object.code.data(), object.code.size());
    append(table, entry);
    code += object.code;
    code.resize(aligned(code.size()));
    offset = aligned(offset + entry.bytes);
  }
  Header header{{}, kVersion, static_cast<uint32_t>(objects.size()), kernels_digest(), {}};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.table = digest_bytes(table.data(), table.size());
  std::string file;
  append(file, header);
  file += table;
  file.resize(aligned(file.size()));
  file += code;
  CHECK(file.size() <= kFileBytesMax);
  return file;
}

std::vector<CodeObject> read_code_objects(const std::string& path) {
  const std::string file = read_text_file(path, kFileBytesMax);
  const Header header = read_header(file, path);
  std::vector<CodeObject> objects;
  for (uint32_t i = 0; i < header.count; ++i) {
    Entry entry;
    std::memcpy(&entry, file.data() + sizeof(header) + i * sizeof(entry), sizeof(entry));
    objects.push_back(read_object(file, entry, path));
  }
  return objects;
}

const CodeObject& code_object_for(const std::vector<CodeObject>& objects,
                                  std::string_view architecture) {
  const std::string_view wanted = architecture.substr(0, architecture.find(':'));
  if (const CodeObject* object = find_object(objects, wanted)) return *object;
  std::string there;
  for (const CodeObject& object : objects) add_to_list(there, object.architecture);
  throw Fault(FaultKind::world,
              "there is no code for " + std::string(architecture) + ", only for " +
                  (there.empty() ? "no card" : there),
              Fix{"take another device", Setting::device});
}

std::string code_objects_path(const std::filesystem::path& program) {
  const std::filesystem::path beside = program.parent_path() / "potluck-kernels.bin";
  std::error_code none;
  if (std::filesystem::exists(beside, none)) return beside;
  return program.parent_path().parent_path() / "share/potluck/potluck-kernels.bin";
}

}  // namespace potluck
