// SpeedCache: speeds that were measured before, by what was measured: this device, this model, and
// this version of potluck.
#pragma once

#include <optional>
#include <string>

#include "topology/cluster/cluster_spec.h"

namespace potluck {

class SpeedCache final {
 public:
  // folder: potluck's among the person's caches; empty where the environment names none.
  explicit SpeedCache(std::string folder) : folder_(std::move(folder)) {}

  struct Entry {
    DeviceSpeed speed;
    std::string date;  // "2026-11-28", by UTC
  };
  // key: any text that changes when the speed might have. A damaged entry counts as none.
  std::optional<Entry> find(const std::string& key) const;
  // Does nothing where there is no folder, or none can be made: measuring again costs seconds.
  void keep(const std::string& key, const DeviceSpeed& speed) const;

 private:
  std::string path_of(const std::string& key) const;

  const std::string folder_;
};

}  // namespace potluck
