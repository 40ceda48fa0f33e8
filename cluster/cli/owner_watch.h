// OwnerWatch looks at what others than potluck do on this machine, for --yield.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/cli/card_watch.h"
#include "cluster/cli/machine_places.h"
#include "topology/base/clock.h"
#include "topology/cluster/courtesy.h"

namespace potluck {

inline constexpr char kYieldHelp[] =
    "leave the device to its owner, and come back: busy (others use it), hours=22:00-08:00 (when "
    "potluck may compute), temperature=80 (°C at most); with commas between";

class OwnerWatch final {
 public:
  // card: of the device, if others' use of that one counts too; may be null. warn: told once when
  // the card says nothing any more, and is then taken to be idle until it does.
  explicit OwnerWatch(MachinePlaces places = {}, std::unique_ptr<CardWatch> card = nullptr,
                      std::function<void(const std::string& line)> warn = {})
      : places_(std::move(places)), card_(std::move(card)), warn_(std::move(warn)) {}

  // Says what went on since the last look. All processes of this program's name are potluck's.
  OwnerActivity look(Time now);

 private:
  struct Ticks {  // of all cores together, since the machine started
    uint64_t all = 0, used = 0, potluck = 0;
  };
  std::optional<Ticks> ticks() const;
  uint64_t potluck_ticks() const;
  int celsius() const;
  double card_share(Time now);

  const MachinePlaces places_;
  const std::unique_ptr<CardWatch> card_;
  const std::function<void(const std::string&)> warn_;
  bool card_is_silent_ = false;
  std::optional<Ticks> last_;
};

}  // namespace potluck
