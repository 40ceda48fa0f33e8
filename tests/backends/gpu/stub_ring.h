// StubRing: a simulated ring whose workers have the devices of this list, the head's first; cards
// are those of a StubMachine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/simulated_ring.h"

namespace potluck {

class StubRing final {
 public:
  explicit StubRing(std::vector<std::string> devices, Precision precision = Precision::exact);

  // Loads the plan, which is a new one each time, and asks for a short answer.
  Outcome ask();

 private:
  std::vector<std::string> devices_;
  Precision precision_;
  SimulatedRing ring_;
  uint32_t epoch_ = 0;
};

// The answer of a ring that has no card.
const std::vector<int32_t>& answer_on_cpu();

}  // namespace potluck
