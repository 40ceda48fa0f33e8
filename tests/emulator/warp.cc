// Lanes leave what they give with their group, and take what others gave once all have come.
#include "tests/emulator/warp.h"

#include <stdexcept>
#include <string>

#include "tests/emulator/machine.h"

namespace potluck::emulator {
namespace {

// Gives a word, and returns those of all lanes.
const int* exchange_word(int value, Wait what, Site site) {
  Machine& all = machine();
  Group& group = all.block().group_of(all.thread());
  int* words = group.words[group.turn];
  words[all.thread().place.thread % kLanes] = value;
  all.wait(what, site);
  return words;
}

}  // namespace

void* shared_memory(const SharedArray& array) {
  return machine().block().shared().array(array);
}

void barrier(Site site) {
  machine().wait(Wait::barrier, site);
}

void warp_sync(Site site) {
  machine().wait(Wait::warp_sync, site);
}

int shuffle(int value, int from, Site site) {
  const int* given = exchange_word(value, Wait::shuffle, site);
  if (from < 0 || from >= kLanes)
    throw std::logic_error("a shuffle from lane " + std::to_string(from) + ", which no warp has");
  return given[from];
}

uint32_t ballot(bool set, Site site) {
  const int* given = exchange_word(set, Wait::ballot, site);
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= static_cast<uint32_t>(given[i]) << i;
  return bits;
}

int uniform(int value, Site site) {
  const int* given = exchange_word(value, Wait::shuffle, site);
  for (int i = 0; i < kLanes; ++i)
    if (given[i] != value)
      throw std::logic_error("lanes differ in a value that was called uniform");
  return value;
}

const std::byte* exchange(const void* given, size_t bytes, Site site) {
  Machine& all = machine();
  Group& group = all.block().group_of(all.thread());
  auto& values = group.values[group.turn];
  std::byte* mine = values[all.thread().place.thread % kLanes];
  // TSan would take memcpy for the kernel's doing.
  for (size_t i = 0; i < bytes; ++i) mine[i] = static_cast<const std::byte*>(given)[i];
  all.wait(Wait::exchange, site);
  return values[0];
}

int32_t atomic_add(int32_t* to, int32_t value) {
  machine().give_way();
  return __atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}

}  // namespace potluck::emulator
