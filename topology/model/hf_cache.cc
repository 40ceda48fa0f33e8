// Finds a repository's snapshot in the cache and chooses a model in it.
#include "topology/model/hf_cache.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <vector>

#include "topology/base/fault.h"
#include "topology/model/gguf.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPreferred[] = {"Q4_K_M", "Q8_0"};  // small first: most machines hold it

// Files that lie beside a model's, by words of their names.
struct Companion {
  const char* word;
  const char* what;
};
constexpr Companion kCompanions[] = {
    {"mmproj", "a vision projector"}, {"mtp", "a drafter"},
    {"draft", "a drafter"},           {"drafter", "a drafter"},
    {"assistant", "a drafter"},       {"eagle", "a drafter"},
    {"eagle3", "a drafter"},          {"imatrix", "measurements for quantizing"},
};

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

// Words of a file's name, cut at everything but letters and digits: "mtp-model-Q8_0.gguf" has mtp.
bool has_plain_word(const std::string& name, const std::string& word) {
  const std::string text = upper(name), wanted = upper(word);
  for (size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
    const auto letter = [&](size_t i) {
      return i < text.size() && std::isalnum(static_cast<unsigned char>(text[i]));
    };
    if ((at == 0 || !letter(at - 1)) && !letter(at + wanted.size())) return true;
  }
  return false;
}

// The first part of a split file, or a file of its own.
bool is_first_part(const std::string& name) {
  const size_t of = name.rfind("-of-");
  if (of == std::string::npos || of < 5) return true;
  const std::string number = name.substr(of - 5, 5);
  return number == "00001" || number.find_first_not_of("0123456789") != std::string::npos;
}

struct Files {
  std::vector<std::string> fit;     // paths, by name
  std::vector<std::string> beside;  // "mmproj-F16.gguf is a vision projector"
};

// Unfinished downloads are dangling links and left out.
Files gguf_files(const fs::path& snapshot) {
  Files files;
  std::vector<fs::path> all;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(snapshot, none))
    if (entry.path().extension() == ".gguf" && entry.is_regular_file(none))
      all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  for (const fs::path& path : all) {
    const std::string name = fs::relative(path, snapshot, none).string();
    const auto* companion =
        std::find_if(std::begin(kCompanions), std::end(kCompanions),
                     [&](const Companion& c) { return has_plain_word(name, c.word); });
    if (companion != std::end(kCompanions))
      files.beside.push_back(name + " is " + companion->what);
    else if (is_first_part(name))
      files.fit.push_back(path.string());
  }
  return files;
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

// The files to try in turn: those that were asked for, or all in the order of preference.
std::vector<std::string> in_order(const std::vector<std::string>& files, const Wanted& wanted) {
  std::vector<std::string> order;
  const auto add = [&](const std::string& word) {
    for (const std::string& file : files) {
      const bool fits = word.empty() || has_word(fs::path(file).filename().string(), word);
      if (fits && std::find(order.begin(), order.end(), file) == order.end()) order.push_back(file);
    }
  };
  if (!wanted.quant.empty()) {
    add(wanted.quant);
    return order;
  }
  for (const char* word : kPreferred) add(word);
  add("");
  return order;
}

std::string took(const std::string& path, const Wanted& wanted) {
  const std::string name = fs::path(path).filename().string();
  const bool preferred = !wanted.quant.empty() || has_word(name, kPreferred[0]);
  return "took " + name +
         (preferred ? "" : std::string(": no ") + kPreferred[0] + " of this model is in the cache");
}

bool is_there(const fs::path& file) {
  std::error_code none;
  return fs::exists(file, none) && fs::file_size(file, none) > 0;
}

// The best of one snapshot; an empty path: nothing fits, and `beside` has grown by what is there.
CachedModel choose(const fs::path& snapshot, const Wanted& wanted,
                   std::vector<std::string>& beside) {
  Files files = gguf_files(snapshot);
  beside.insert(beside.end(), files.beside.begin(), files.beside.end());
  std::string left_out;
  for (const std::string& file : in_order(files.fit, wanted)) {
    const std::string why_not = unfit(file);
    if (why_not.empty()) return {file, took(file, wanted) + left_out};
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
  std::vector<std::string> beside;
  for (const fs::path& snapshot : snapshots(fs::path(hub) / folder)) {
    CachedModel found = choose(snapshot, wanted, beside);
    if (found.path.empty()) continue;
    found.note = "hf:" + text + ": " + found.note;
    return found;
  }
  std::string there;
  for (const std::string& file : beside) there += (there.empty() ? " (" : "; ") + file;
  if (!there.empty()) there += ")";
  throw Fault(FaultKind::input, "hf:" + text + " is not in " + hub + there,
              Fix{"fetch it with: " + fetch_command(wanted)});
}

}  // namespace potluck
