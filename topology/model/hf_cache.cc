// Finds a repository's snapshot in the cache and chooses a model in it.
#include "topology/model/hf_cache.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <vector>

#include "topology/base/fault.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPreferred[] = {"Q4_K_M", "Q8_0"};  // small first: most machines hold it
constexpr char kProjector[] = "mmproj";  // vision files lie beside the text model's
constexpr char kNameLetters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._";

struct Wanted {
  std::string repository;  // OWNER/REPO
  std::string quant;       // empty: none asked for
};

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return text;
}

bool is_name(const std::string& text) {
  return !text.empty() && text.front() != '.' &&
         text.find_first_not_of(kNameLetters) == std::string::npos;
}

Wanted parse(const std::string& text) {
  const size_t colon = text.find(':'), slash = text.find('/');
  Wanted wanted{text.substr(0, colon), ""};
  if (colon != std::string::npos) wanted.quant = text.substr(colon + 1);
  const bool good = slash < wanted.repository.size() && is_name(text.substr(0, slash)) &&
                    is_name(wanted.repository.substr(slash + 1)) &&
                    (colon == std::string::npos || is_name(wanted.quant));
  if (!good)
    throw Fault(FaultKind::input, "\"hf:" + text + "\" does not name a cached model",
                Fix{"give hf:OWNER/REPO or hf:OWNER/REPO:QUANT", Setting::model});
  return wanted;
}

// Whether the name has the word: F16 is not in model-BF16.gguf, nor Q4_K in model-Q4_K_M.gguf.
bool has_word(const std::string& name, const std::string& word) {
  const auto in_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  const std::string text = upper(name), wanted = upper(word);
  for (size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
    const size_t end = at + wanted.size();
    if ((at == 0 || !in_word(text[at - 1])) && (end == text.size() || !in_word(text[end])))
      return true;
  }
  return false;
}

std::vector<fs::path> snapshots(const fs::path& repository) {
  std::vector<fs::path> folders;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(repository / "snapshots", none))
    if (entry.is_directory(none)) folders.push_back(entry.path());
  std::string revision;
  std::ifstream(repository / "refs" / "main") >> revision;
  std::sort(folders.begin(), folders.end(), [&](const fs::path& a, const fs::path& b) {
    const bool a_main = a.filename() == revision, b_main = b.filename() == revision;
    return a_main != b_main ? a_main : a < b;
  });
  return folders;
}

// By name, so that the first part of a split file comes first; unfinished downloads are dangling
// links and left out.
std::vector<std::string> gguf_files(const fs::path& snapshot) {
  std::vector<std::string> files;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(snapshot, none)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".gguf" && entry.is_regular_file(none) &&
        path.filename().string().rfind(kProjector, 0) != 0)
      files.push_back(path.string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string with_word(const std::vector<std::string>& files, const std::string& word) {
  for (const std::string& file : files)
    if (has_word(fs::path(file).filename().string(), word)) return file;
  return "";
}

// The best of one snapshot; an empty path: nothing fits.
CachedModel choose(const fs::path& snapshot, const Wanted& wanted) {
  const std::vector<std::string> files = gguf_files(snapshot);
  if (!wanted.quant.empty()) return {with_word(files, wanted.quant), ""};
  for (const char* word : kPreferred) {
    const std::string file = with_word(files, word);
    if (file.empty()) continue;
    if (word == kPreferred[0]) return {file, ""};
    return {file, std::string("took ") + word + ": " + kPreferred[0] + " is not in the cache"};
  }
  if (!files.empty()) return {files.front(), "took " + fs::path(files.front()).filename().string()};
  std::error_code none;
  const bool checkpoint = fs::exists(snapshot / "config.json", none) &&
                          (fs::exists(snapshot / "model.safetensors", none) ||
                           fs::exists(snapshot / "model.safetensors.index.json", none));
  return {checkpoint ? snapshot.string() : "", ""};
}

std::string fetch_command(const Wanted& wanted) {
  const std::string command = "hf download " + wanted.repository;
  const bool gguf =
      !wanted.quant.empty() || upper(wanted.repository).find("GGUF") != std::string::npos;
  const std::string word = wanted.quant.empty() ? kPreferred[0] : wanted.quant;
  return gguf ? command + " --include \"*" + word + "*.gguf\"" : command;
}

}  // namespace

CachedModel find_cached(const std::string& text, const std::string& hub) {
  const Wanted wanted = parse(text);
  std::string folder = "models--" + wanted.repository;
  folder.replace(folder.find('/'), 1, "--");
  for (const fs::path& snapshot : snapshots(fs::path(hub) / folder)) {
    CachedModel found = choose(snapshot, wanted);
    if (found.path.empty()) continue;
    if (!found.note.empty()) found.note = "hf:" + text + ": " + found.note;
    return found;
  }
  throw Fault(FaultKind::input, "hf:" + text + " is not in " + hub,
              Fix{"fetch it with: " + fetch_command(wanted)});
}

}  // namespace potluck
