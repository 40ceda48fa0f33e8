// OwnerWatch looks at what others than potluck do on this machine, for --yield.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "topology/cluster/courtesy.h"

namespace potluck {

inline constexpr char kYieldHelp[] =
    "leave the device to its owner, and come back: busy (others use it), hours=22:00-08:00 (when "
    "potluck may compute), temperature=80 (°C at most); with commas between";

// Where Linux says what goes on; tests have such folders of their own.
struct MachinePlaces {
  std::filesystem::path proc = "/proc", sys = "/sys";
};

class OwnerWatch final {
 public:
  explicit OwnerWatch(MachinePlaces places = {}) : places_(std::move(places)) {}

  // Says what went on since the last look. All processes of this program's name are potluck's.
  OwnerActivity look();

 private:
  struct Ticks {  // of all cores together, since the machine started
    uint64_t all = 0, used = 0, potluck = 0;
  };
  std::optional<Ticks> ticks() const;
  uint64_t potluck_ticks() const;
  int celsius() const;

  const MachinePlaces places_;
  std::optional<Ticks> last_;
};

}  // namespace potluck
