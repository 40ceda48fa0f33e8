// Emulated cards in place of backends/gpu/open_card.cc: "emulated:cuda" and "emulated:hip", and
// "emulated:cuda-KERNEL", whose KERNEL does nothing.
#include "backends/gpu/open_card.h"

#include "tests/emulator/emulated_driver.h"
#include "tests/gpu_check/forwarding_driver.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

class LazyCard final : public ForwardingDriver {
 public:
  LazyCard(std::shared_ptr<GpuDriver> below, std::string idle)
      : ForwardingDriver(std::move(below)), idle_(std::move(idle)) {}

  using ForwardingDriver::launch;
  void launch(const GpuLaunch& what, GpuStream stream) override {
    if (idle_ != gpu::kKernels[static_cast<size_t>(what.kernel)].name)
      ForwardingDriver::launch(what, stream);
  }

 private:
  std::string idle_;
};

}  // namespace

std::unique_ptr<GpuDriver> open_card(const std::string& device) {
  const size_t mark = device.find('-');
  const std::string vendor = device.substr(0, mark);
  if (vendor != "emulated:cuda" && vendor != "emulated:hip")
    throw Fault(FaultKind::input, "device \"" + device + "\" is not in this build");
  auto card = std::make_unique<EmulatedDriver>(
      vendor == "emulated:cuda" ? emulator::Vendor::cuda : emulator::Vendor::hip,
      std::make_shared<EmulatedDriver::Books>());
  if (mark == std::string::npos) return card;
  return std::make_unique<LazyCard>(std::move(card), device.substr(mark + 1));
}

std::vector<Card> list_cards() {
  return {{"emulated:cuda", open_card("emulated:cuda")->facts(), ""}};
}

}  // namespace potluck
