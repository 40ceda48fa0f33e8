// Chooses a model among a repository's files by their names alone.
#include "topology/model/hf_choice.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "topology/base/fault.h"

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

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return text;
}

bool is_name(const std::string& text) {
  return !text.empty() && text.front() != '.' &&
         text.find_first_not_of(kNameLetters) == std::string::npos;
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

}  // namespace

std::string HfName::text() const {
  return repository + (quant.empty() ? "" : ":" + quant);
}

HfName parse_hf_name(const std::string& text) {
  const size_t colon = text.find(':'), slash = text.find('/');
  HfName wanted{text.substr(0, colon), ""};
  if (colon != std::string::npos) wanted.quant = text.substr(colon + 1);
  const bool good = slash < wanted.repository.size() && is_name(text.substr(0, slash)) &&
                    is_name(wanted.repository.substr(slash + 1)) &&
                    (colon == std::string::npos || is_name(wanted.quant));
  if (!good)
    throw Fault(FaultKind::input, "\"hf:" + text + "\" does not name a model",
                Fix{"give hf:OWNER/REPO or hf:OWNER/REPO:QUANT"});
  return wanted;
}

std::string hf_folder(const HfName& name) {
  std::string folder = "models--" + name.repository;
  return folder.replace(folder.find('/'), 1, "--");
}

std::string pull_command(const HfName& name) {
  return "potluck pull hf:" + name.text();
}

GgufNames sort_gguf_names(std::vector<std::string> names) {
  GgufNames sorted;
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (fs::path(name).extension() != ".gguf") continue;
    const auto* companion =
        std::find_if(std::begin(kCompanions), std::end(kCompanions),
                     [&](const Companion& c) { return has_plain_word(name, c.word); });
    if (companion != std::end(kCompanions))
      sorted.beside.push_back(name + " is " + companion->what);
    else if (is_first_part(name))
      sorted.fit.push_back(name);
  }
  return sorted;
}

std::vector<std::string> in_order(const std::vector<std::string>& files, const HfName& wanted) {
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

std::string took(const std::string& path, const HfName& wanted, const std::string& place) {
  const std::string name = fs::path(path).filename().string();
  const bool preferred = !wanted.quant.empty() || has_word(name, kPreferred[0]);
  return "took " + name +
         (preferred ? "" : std::string(": no ") + kPreferred[0] + " of this model is " + place);
}

}  // namespace potluck
