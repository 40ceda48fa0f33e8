// CardWatch looks at how much others than potluck use a card, for --yield busy: by NVML of NVIDIA's
// driver, which is opened where it is there, or by what Linux says of AMD's.
#pragma once

#include <memory>
#include <string>

#include "cluster/cli/machine_places.h"
#include "topology/base/clock.h"

namespace potluck {

class CardWatch {
 public:
  virtual ~CardWatch() = default;
  // The share of the card that others have used since the last look; 0 at the first.
  virtual double look(Time now) = 0;
};

// device: "cuda:0", "hip:1"; address: of the card in this machine, "0000:01:00.0". Throws
// Fault{world} if nothing here says who uses it.
std::unique_ptr<CardWatch> watch_card(const std::string& device, const std::string& address,
                                      const MachinePlaces& places);

}  // namespace potluck
