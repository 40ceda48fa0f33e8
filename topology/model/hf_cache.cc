// Finds a repository's snapshot in the cache and chooses a model in it.
#include "topology/model/hf_cache.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "topology/base/fault.h"
#include "topology/model/gguf.h"
#include "topology/model/hf_choice.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

// The folders of one kind, by revision, that of refs/main first.
std::vector<fs::path> revisions(const fs::path& repository, const char* kind) {
  std::vector<fs::path> folders;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(repository / kind, none))
    if (entry.is_directory(none)) folders.push_back(entry.path());
  std::string revision;
  std::ifstream(repository / "refs" / "main") >> revision;
  std::sort(folders.begin(), folders.end(), [&](const fs::path& a, const fs::path& b) {
    const bool a_main = a.filename() == revision, b_main = b.filename() == revision;
    return a_main != b_main ? a_main : a < b;
  });
  return folders;
}

// Unfinished downloads are dangling links and left out.
GgufNames gguf_names(const fs::path& snapshot) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(snapshot, none))
    if (entry.is_regular_file(none))
      names.push_back(entry.path().lexically_relative(snapshot).string());
  return sort_gguf_names(std::move(names));
}

// Why the file cannot be the model; empty if it can. Reads its directory.
std::string unfit(const std::string& path) {
  std::error_code none;
  const std::string name = fs::path(path).filename().string();
  if (fs::file_size(path, none) == 0) return name + " is empty";
  try {
    open_gguf(path);
    return "";
  } catch (const Fault& fault) {
    return name + ": " + fault.text();
  }
}

bool is_there(const fs::path& file) {
  std::error_code none;
  return fs::exists(file, none) && fs::file_size(file, none) > 0;
}

// The best of one snapshot; an empty path: nothing fits, and `beside` has grown by what is there.
CachedModel choose(const fs::path& snapshot, const HfName& wanted,
                   std::vector<std::string>& beside) {
  const GgufNames names = gguf_names(snapshot);
  beside.insert(beside.end(), names.beside.begin(), names.beside.end());
  std::string left_out;
  for (const std::string& name : in_order(names.fit, wanted)) {
    const std::string file = (snapshot / name).string(), why_not = unfit(file);
    if (why_not.empty()) return {file, took(name, wanted, "in the cache") + left_out};
    left_out += "; left out " + why_not;
    beside.push_back(why_not);
  }
  const bool checkpoint = wanted.quant.empty() && is_there(snapshot / "config.json") &&
                          (is_there(snapshot / "model.safetensors") ||
                           is_there(snapshot / "model.safetensors.index.json"));
  if (checkpoint)
    return {snapshot.string(), "took the safetensors of " + snapshot.filename().string()};
  return {};
}

}  // namespace

CachedModel find_cached(const std::string& text, const std::string& hub) {
  const HfName wanted = parse_hf_name(text);
  const fs::path repository = fs::path(hub) / hf_folder(wanted);
  std::vector<std::string> beside;
  for (const char* kind : {"snapshots", kPartialFolder})
    for (const fs::path& snapshot : revisions(repository, kind)) {
      CachedModel found = choose(snapshot, wanted, beside);
      if (found.path.empty()) continue;
      found.note = "hf:" + text + ": " + found.note;
      return found;
    }
  std::string there;
  for (const std::string& file : beside) there += (there.empty() ? " (" : "; ") + file;
  if (!there.empty()) there += ")";
  throw Fault(FaultKind::input, "hf:" + text + " is not in " + hub + there,
              Fix{"fetch it with: " + pull_command(wanted)});
}

}  // namespace potluck
