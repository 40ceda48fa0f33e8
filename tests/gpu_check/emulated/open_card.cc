// Emulated cards in place of backends/gpu/open_card.cc: "emulated:cuda" and the emulator's others,
// further ones with a number ("emulated:cuda:1"), and wrong ones: "emulated:cuda-KERNEL", whose
// KERNEL does nothing, and "emulated:cuda-turned", which transposes the matrices that it loads.
#include "backends/gpu/open_card.h"

#include <algorithm>
#include <iterator>

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

class TurnedCard final : public ForwardingDriver {
 public:
  using ForwardingDriver::ForwardingDriver;

  using ForwardingDriver::launch;
  void launch(const GpuLaunch& what, GpuStream stream) override {
    ForwardingDriver::launch(what, stream);
    if (what.kernel != gpu::Kernel::matrix_loads) return;
    uint32_t* words = static_cast<const gpu::MatrixLoads*>(what.operands)->words;
    copy(words + 128, words, 128 * sizeof(uint32_t), stream);
  }
};

std::shared_ptr<EmulatedDriver::Books> books_of(const std::string& number) {
  auto books = std::make_shared<EmulatedDriver::Books>();
  books->address += number;
  return books;
}

}  // namespace

std::unique_ptr<GpuDriver> open_card(const std::string& device) {
  const std::string wrong = device.substr(std::min(device.find('-'), device.size()));
  const std::string right = device.substr(0, device.size() - wrong.size());
  const std::string vendor = right.substr(0, right.find(':', right.find(':') + 1));
  const auto named = [&](emulator::Vendor known) {
    return vendor == std::string("emulated:") + emulator::name_of(known);
  };
  const auto* known =
      std::find_if(std::begin(emulator::kVendors), std::end(emulator::kVendors), named);
  if (known == std::end(emulator::kVendors))
    throw Fault(FaultKind::input, "device \"" + device + "\" is not in this build");
  auto card = std::make_unique<EmulatedDriver>(*known, books_of(right.substr(vendor.size())));
  if (wrong.empty()) return card;
  if (wrong == "-turned") return std::make_unique<TurnedCard>(std::move(card));
  return std::make_unique<LazyCard>(std::move(card), wrong.substr(1));
}

std::vector<Card> list_cards() {
  return {{"emulated:cuda", open_card("emulated:cuda")->facts(), ""}};
}

}  // namespace potluck
