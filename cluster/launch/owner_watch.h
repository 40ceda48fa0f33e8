// OwnerWatch looks at what others than potluck do on this machine, for --yield.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cluster/launch/card_watch.h"
#include "cluster/cli/machine_places.h"
#include "topology/base/clock.h"
#include "topology/cluster/courtesy.h"

namespace potluck {

inline constexpr char kYieldHelp[] =
    "leave the device to its owner, and come back: busy (others use it), hours=22:00-08:00 (when "
    "potluck may compute), temperature=80 (°C at most); with commas between";

class OwnerWatch final {
 public:
  // card: of the device, if others' use of that one counts too; may be null.
  explicit OwnerWatch(MachinePlaces places = {}, std::unique_ptr<CardWatch> card = nullptr)
      : places_(std::move(places)), card_(std::move(card)) {}

  // Says what went on since the last look. All processes of this program's name are potluck's.
  OwnerActivity look(Time now);

 private:
  struct Ticks {  // of all cores together, since the machine started
    uint64_t all = 0, used = 0, potluck = 0;
  };
  std::optional<Ticks> ticks() const;
  uint64_t potluck_ticks() const;
  int celsius() const;

  const MachinePlaces places_;
  const std::unique_ptr<CardWatch> card_;
  std::optional<Ticks> last_;
};

}  // namespace potluck
