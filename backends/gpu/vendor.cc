// The errors of a vendor's driver become faults that name card, call and error.
#include "backends/gpu/vendor.h"

#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr int kNoDevice = 100;  // both vendors number it so

Fault no_card(const Vendor& vendor) {
  return Fault(FaultKind::world,
               vendor.version() + "'s library is installed, and finds no card that it can use");
}

}  // namespace

int count_cards(const Vendor& vendor) {
  int count = 0;
  call(vendor, kNoCard, vendor.calls().count_cards, &count);
  if (count < 1) throw no_card(vendor);
  return count;
}

std::string card_text(const Vendor& vendor, int card) {
  if (card == kNoCard) return vendor.version();
  const std::string device = vendor.kind() + ":" + std::to_string(card);
  char name[256] = {};
  const int error = vendor.calls().card_name.function(name, sizeof(name) - 1, card);
  return error == 0 ? name + (" (" + device + ")") : device;
}

void throw_error(const Vendor& vendor, int card, const char* call, int error) {
  if (card == kNoCard && error == kNoDevice) throw no_card(vendor);
  const std::string text = card_text(vendor, card) + ": " + call +
                           " failed: " + vendor.error_name(error) + " (" + std::to_string(error) +
                           ")";
  if (error == kOutOfMemory)
    throw Fault(FaultKind::memory, text,
                Fix{"end what else uses the card, or give it fewer layers", Setting::split});
  throw Fault(FaultKind::world, text, Fix{"the kernel's log may say more (dmesg)"});
}

}  // namespace potluck
