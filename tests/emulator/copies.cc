// A card reads the source at some time between the call and the wait; here a random choice takes
// one of the two.
#include "tests/emulator/copies.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "tests/emulator/machine.h"

namespace potluck::emulator {
namespace {

constexpr uint64_t kOnTheWay = 0x7fa17fa17fa17fa1;  // NaNs of f32, f16 and bf16

bool is_aligned(const void* at) {
  return reinterpret_cast<uintptr_t>(at) % 16 == 0;
}

std::string line_of(Site site) {
  return std::string(" (") + site.file_name() + ":" + std::to_string(site.line()) + ")";
}

void take(Copy& copy, const uint64_t* from) {
  for (int i = 0; i < 2; ++i) copy.lands[i] = from[i];
  copy.from = nullptr;
}

void land(Copy& copy) {
  if (copy.to[0] != kOnTheWay || copy.to[1] != kOnTheWay)
    throw std::logic_error("shared memory was written while a copy was on its way to it" +
                           line_of(copy.site));
  if (copy.from) take(copy, copy.from);
  for (int i = 0; i < 2; ++i) copy.to[i] = copy.lands[i];
}

}  // namespace

void copy16(void* to, const void* from, bool inside, Site site) {
  if (!is_aligned(to) || (inside && !is_aligned(from)))
    throw std::logic_error("a copy of 16 bytes is not aligned to 16" + line_of(site));
  if (!machine().block().shared().holds(to, 16))
    throw std::logic_error("a copy does not go to a shared array of its block" + line_of(site));
  Thread& thread = machine().thread();
  Copy copy{static_cast<uint64_t*>(to),
            inside ? static_cast<const uint64_t*>(from) : nullptr,
            {},
            thread.copy_group,
            site};
  if (copy.from && machine().random().below(2)) take(copy, copy.from);
  for (int i = 0; i < 2; ++i) copy.to[i] = kOnTheWay;
  thread.copies.push_back(copy);
}

void commit_copies() {
  ++machine().thread().copy_group;
}

void wait_copies(int pending) {
  Thread& thread = machine().thread();
  const auto flies = [&](const Copy& copy) { return copy.group >= thread.copy_group - pending; };
  const auto first = std::find_if(thread.copies.begin(), thread.copies.end(), flies);
  std::for_each(thread.copies.begin(), first, land);
  thread.copies.erase(thread.copies.begin(), first);
}

}  // namespace potluck::emulator
