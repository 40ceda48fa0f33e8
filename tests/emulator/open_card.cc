// The emulated cards of a program that is linked with this in place of backends/gpu/open_card.cc.
// POTLUCK_EMULATED_BYTES=CUDA:HIP sizes them.
#include "backends/gpu/open_card.h"

#include <cstdlib>

#include "tests/emulator/emulated_driver.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

std::shared_ptr<EmulatedDriver::Books> new_books(emulator::Vendor vendor) {
  auto books = std::make_shared<EmulatedDriver::Books>();
  const char* sizes = std::getenv("POTLUCK_EMULATED_BYTES");
  if (!sizes) return books;
  char* colon = nullptr;
  books->bytes_total = std::strtoull(sizes, &colon, 10);
  if (vendor == emulator::Vendor::hip) books->bytes_total = std::strtoull(colon + 1, nullptr, 10);
  return books;
}

std::unique_ptr<GpuDriver> new_card(emulator::Vendor vendor) {
  return std::make_unique<EmulatedDriver>(vendor, new_books(vendor));
}

}  // namespace

std::unique_ptr<GpuDriver> open_card(const std::string& device) {
  std::string known = "cpu";
  for (const emulator::Vendor vendor : emulator::kVendors) {
    const std::string name = std::string("emulated:") + emulator::name_of(vendor);
    if (device == name) return new_card(vendor);
    known += ", " + name;
  }
  throw Fault(FaultKind::input,
              "device \"" + device + "\" is not in this build, which has: " + known);
}

std::vector<Card> list_cards() {
  std::vector<Card> cards;
  for (const char* device : {"emulated:cuda", "emulated:hip"})
    cards.push_back({device, open_card(device)->facts(), ""});
  return cards;
}

}  // namespace potluck
