// Asks the file system what is free where models lie.
#include "cluster/planning/disk.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "topology/base/text.h"

namespace potluck {

namespace fs = std::filesystem;

std::string model_folder(const std::string& model, const ModelPlaces& places) {
  const bool made_up = model.empty() || model.find(':') != std::string::npos || is_demo(model);
  fs::path folder = made_up ? fs::path(places.hub) : fs::absolute(model);
  std::error_code none;
  while (!fs::is_directory(folder, none) && folder.has_relative_path())
    folder = folder.parent_path();
  return folder.string();
}

Finding disk_finding(const std::string& folder, uint64_t free, uint64_t needed) {
  return {Severity::problem, "",
          "the disk is full: " + folder + " has " + bytes_text(free) + " free, and " +
              bytes_text(needed) + " are needed",
          "delete what is not needed (du -xh " + folder +
              " | sort -h | tail shows the largest), or set HF_HUB_CACHE to a folder on a larger "
              "disk"};
}

nlohmann::ordered_json disk_json(const std::string& model, const ModelPlaces& places,
                                 bool model_is_there, std::vector<Finding>& findings) {
  const std::string folder = model_folder(model, places);
  std::error_code failed;
  const fs::space_info space = fs::space(folder, failed);
  if (failed) return {{"folder", folder}, {"problem", failed.message()}};
  if (space.available < kDiskLeast) {
    findings.push_back(disk_finding(folder, space.available, kDiskLeast));
    if (model_is_there) findings.back().severity = Severity::warning;
  }
  return {{"folder", folder}, {"bytes_free", space.available}, {"bytes_total", space.capacity}};
}

}  // namespace potluck
