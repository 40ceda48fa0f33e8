// Reads ranges of files that are here.
#include "topology/hub/local_files.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>

#include "topology/base/fault.h"
#include "topology/model/gguf.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMappedBytes = 1 << 20;  // mapped at a time

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
  return names;
}

// A file of the Hugging Face cache bears its checksum for a name, and a copy has it in its list.
std::string checksum_of(const std::string& path, const std::optional<PartialCopy>& partial) {
  constexpr std::string_view kKnown = "sha256:";
  if (partial)
    return partial->origin.starts_with(kKnown) ? partial->origin.substr(kKnown.size()) : "";
  std::error_code none;
  const fs::path file = fs::canonical(path, none);
  const std::string name = file.filename().string();
  const bool blob = file.parent_path().filename() == "blobs" && name.size() == 64 &&
                    name.find_first_not_of("0123456789abcdef") == std::string::npos;
  return blob ? name : "";
}

}  // namespace

std::vector<std::string> checkpoint_names(std::vector<std::string> names) {
  static const std::set<std::string> kSmall = {"config.json", "generation_config.json",
                                               "tokenizer.json", "model.safetensors.index.json"};
  const bool split = std::count(names.begin(), names.end(), "model.safetensors.index.json");
  std::sort(names.begin(), names.end());
  std::vector<std::string> taken;
  for (const std::string& name : names) {
    const bool shard = split ? name.starts_with("model-") && name.ends_with(".safetensors")
                             : name == "model.safetensors";
    if (shard || kSmall.count(name)) taken.push_back(name);
  }
  return taken;
}

LocalFiles::LocalFiles(const std::string& path) : path_(path) {
  std::vector<std::string> paths;
  std::error_code none;
  if (!fs::is_directory(path, none))
    paths = gguf_part_names(path);
  else
    for (const std::string& name : checkpoint_names(names_in(path)))
      paths.push_back(path + "/" + name);
  for (const std::string& file : paths) {
    opened_.push_back({MappedFile(file), read_partial_copy(file)});
    if (opened_.back().partial) opened_.back().file.may_be_filled();
    files_.push_back({fs::path(file).filename().string(), opened_.back().file.size(),
                      checksum_of(file, opened_.back().partial)});
  }
}

// A piece that this copy lacks is refused, for it would be read as zeros.
ReadEnd LocalFiles::read(size_t file, ByteRange range, const ByteSink& sink) {
  const auto& [mapped, partial] = opened_[file];
  const uint64_t end = range.begin + range.bytes;
  if (partial && !partial->holds(range.begin, range.bytes))
    throw Fault(FaultKind::input,
                "bytes " + std::to_string(range.begin) + " to " + std::to_string(end) +
                    " are not in this copy",
                Fix{"copy from one that has the layers"}, mapped.path());
  for (uint64_t at = range.begin; at < end; at += kMappedBytes) {
    const uint64_t bytes = std::min(kMappedBytes, end - at);
    sink({mapped.map(at, bytes).get(), bytes});
  }
  return {};
}

}  // namespace potluck
