// Tells from a locator's form which kind of model it names, and opens that.
#include "topology/model/locator.h"

#include <filesystem>

#include "topology/base/fault.h"
#include "topology/model/gguf.h"
#include "topology/model/hf_cache.h"
#include "topology/model/safetensors.h"
#include "topology/model/synthetic.h"

namespace potluck {
namespace {

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0;
}

bool is_folder(const std::string& path) {
  std::error_code none;
  return std::filesystem::is_directory(path, none);
}

std::unique_ptr<ModelSource> open_cached(const CachedModel& found) {
  if (is_folder(found.path)) return open_safetensors(found.path, {found.note});
  return open_gguf(found.path, {found.note});
}

std::unique_ptr<ModelSource> open_folder(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::exists(path + "/config.json", none))
    throw Fault(FaultKind::input, "there is no config.json in " + path,
                Fix{"give a checkpoint's folder, or the .gguf file itself", Setting::model});
  return open_safetensors(path);
}

// Empty if the locator names no demo model.
std::string demo_file(const std::string& locator) {
  return locator == "demo" ? "sudoku6.gguf" : locator == "demo9" ? "sudoku9.gguf" : "";
}

std::unique_ptr<ModelSource> open_demo(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::exists(path, none))
    throw Fault(FaultKind::input, "the demo model is not installed: there is no " + path,
                Fix{"install potluck again, with its share folder"});
  return open_gguf(path);
}

}  // namespace

bool is_demo(const std::string& locator) {
  return !demo_file(locator).empty();
}

std::unique_ptr<ModelSource> open_model(const std::string& locator, const ModelPlaces& places) {
  if (starts_with(locator, "synthetic:")) return make_synthetic(locator.substr(10));
  if (starts_with(locator, "hf:")) return open_cached(find_cached(locator.substr(3), places.hub));
  if (is_demo(locator)) return open_demo(places.demos + "/" + demo_file(locator));
  if (is_folder(locator)) return open_folder(locator);
  std::error_code none;
  if (!std::filesystem::exists(locator, none))
    throw Fault(
        FaultKind::input, "there is no model at " + locator,
        Fix{"give a .gguf file, a safetensors folder, hf:OWNER/REPO, synthetic:PRESET, demo "
            "or demo9",
            Setting::model});
  return open_gguf(locator);
}

}  // namespace potluck
