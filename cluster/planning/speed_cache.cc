// An entry is a small file whose name is a digest of its key; the key is in it as well.
#include "cluster/planning/speed_cache.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cluster/planning/speed_json.h"
#include "topology/base/clock.h"
#include "topology/model/fingerprint.h"

namespace potluck {

std::string SpeedCache::path_of(const std::string& key) const {
  return folder_ + "/doctor/" + digest_text(digest_bytes(key.data(), key.size())) + ".json";
}

std::optional<SpeedCache::Entry> SpeedCache::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  std::ifstream file(path_of(key));
  if (!file) return std::nullopt;
  try {
    const auto json = nlohmann::ordered_json::parse(file);
    if (json.at("key") != key) return std::nullopt;
    return Entry{speed_of(json.at("speed")), json.at("date")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

void SpeedCache::keep(const std::string& key, const DeviceSpeed& speed) const {
  if (folder_.empty()) return;
  const std::filesystem::path path = path_of(key);
  std::error_code none;
  std::filesystem::create_directories(path.parent_path(), none);
  const std::string beside = path.string() + "." + std::to_string(getpid());
  std::ofstream file(beside);
  file << nlohmann::ordered_json{{"key", key}, {"date", utc_date()}, {"speed", speed_json(speed)}};
  file.close();
  if (file)
    std::filesystem::rename(beside, path, none);
  else
    std::filesystem::remove(beside, none);
}

}  // namespace potluck
