// The errors of a vendor's driver become faults that name card, call and error.
#include "backends/gpu/vendor.h"

#include <algorithm>
#include <iterator>

#include "topology/base/fault.h"

namespace potluck {
namespace {

// Both vendors number these alike. After those of the first row no call of this process reaches the
// card any more: an ECC error, an error of a link, an illegal address, a kernel that ran too long
// for a display, an assertion, and what else ends a kernel.
constexpr int kSpoils[] = {214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719};
constexpr int kNoDevice = 100, kInvalidDevice = 101, kUnavailable = 46, kUnknown = 999;
constexpr int kMayBeGone[] = {kUnavailable, kNoDevice, kInvalidDevice, kUnknown};

Fault no_card(const Vendor& vendor) {
  return Fault(FaultKind::world,
               vendor.version() + "'s library is installed, and finds no card that it can use");
}

Fix fix_of(int error) {
  const auto is_one_of = [error](const auto& some) {
    return std::find(std::begin(some), std::end(some), error) != std::end(some);
  };
  if (is_one_of(kSpoils))
    return {
        "restart potluck on this machine before it uses the card again; the kernel's log may "
        "say more (dmesg)"};
  if (is_one_of(kMayBeGone))
    return {
        "see whether the kernel's log says that the card fell off the bus (dmesg); then "
        "restart this machine"};
  return {"the kernel's log may say more (dmesg)"};
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
  throw Fault(FaultKind::world, text, fix_of(error));
}

}  // namespace potluck
