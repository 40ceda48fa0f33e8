// The emulated cards of a program that is linked with this in place of backends/gpu/open_card.cc.
#include "backends/gpu/open_card.h"

#include "tests/emulator/emulated_driver.h"
#include "topology/base/fault.h"

namespace potluck {

std::unique_ptr<GpuDriver> open_card(const std::string& device) {
  const auto books = std::make_shared<EmulatedDriver::Books>();
  if (device == "emulated:cuda")
    return std::make_unique<EmulatedDriver>(emulator::Vendor::cuda, books);
  if (device == "emulated:hip")
    return std::make_unique<EmulatedDriver>(emulator::Vendor::hip, books);
  throw Fault(FaultKind::input, "device \"" + device +
                                    "\" is not in this build, which has: cpu, emulated:cuda, "
                                    "emulated:hip");
}

}  // namespace potluck
