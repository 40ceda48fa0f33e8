// What `-m` names.
#include <algorithm>
#include <filesystem>
#include <vector>

#include "topology/fault.h"
#include "topology/gguf.h"
#include "topology/model_source.h"
#include "topology/safetensors.h"
#include "topology/synthetic.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return text;
}

// The first file (by name) of the cached snapshots whose name holds the quantisation.
std::string find_cached(const fs::path& repository, const std::string& quant) {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(repository / "snapshots", none)) {
    const std::string name = entry.path().filename().string();
    const bool fits = upper(name).find(upper(quant)) != std::string::npos;
    if (entry.path().extension() == ".gguf" && fits) found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found.empty() ? "" : found.front();
}

// hf:OWNER/REPO[:QUANT] in the local cache; absent: the command that fetches it.
std::string locate_hf(const std::string& text, const std::string& hub) {
  const size_t colon = text.find(':');
  const std::string repository = text.substr(0, colon);
  const std::string quant = colon == std::string::npos ? "Q4_K_M" : text.substr(colon + 1);
  const size_t slash = repository.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == repository.size())
    throw Fault(FaultKind::input, "\"hf:" + text + "\" is not hf:OWNER/REPO[:QUANT]");
  std::string folder = "models--" + repository;
  folder.replace(folder.find('/'), 1, "--");
  const std::string path = find_cached(fs::path(hub) / folder, quant);
  if (path.empty())
    throw Fault(FaultKind::input, "hf:" + text + " is not in " + hub +
                                      "; fetch it with: hf download " + repository +
                                      " --include \"*" + quant + "*.gguf\"");
  return path;
}

}  // namespace

std::unique_ptr<ModelSource> open_model(const std::string& locator, const ModelPlaces& places) {
  if (starts_with(locator, "synthetic:")) return make_synthetic(locator.substr(10));
  if (starts_with(locator, "hf:")) return open_gguf(locate_hf(locator.substr(3), places.hub));
  if (locator == "demo") return open_gguf(places.demo);
  std::error_code none;
  if (fs::is_directory(locator, none)) return open_safetensors(locator);
  if (!fs::exists(locator, none))
    throw Fault(FaultKind::input,
                "there is no model at " + locator +
                    "; -m takes a .gguf file, a safetensors folder, hf:OWNER/REPO, "
                    "synthetic:PRESET or demo");
  return open_gguf(locator);
}

}  // namespace potluck
