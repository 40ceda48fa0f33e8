// These are what a thread of an emulated GPU can do together with the others of its block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace potluck::emulator {

inline constexpr int kLanes = 32;

struct Place {
  int thread = 0;  // within its block
  int block_x = 0, block_y = 0;
};

extern constinit thread_local const Place* running_place;

inline const Place& here() {
  return *running_place;
}

// A declaration in a kernel's code.
struct SharedArray {
  const char* name;
  const char* file;
  int line;
  size_t bytes, alignment;
};

// The block's memory for a place in a kernel's code, the same for all of its threads.
void* shared_memory(const SharedArray& array);

// Each of these names its caller's place in the code, where a kernel goes wrong.
using Site = std::source_location;

// Every thread of the block must call it.
void barrier(Site site);

// The 32 lanes of the caller's group must call these together.
void warp_sync(Site site);
int shuffle(int value, int from, Site site);  // throws std::logic_error if no lane is `from`
uint32_t ballot(bool set, Site site);
// Returns the value; std::logic_error where a lane has another one.
int uniform(int value, Site site);

// Gives a value of at most kExchangeBytesMax bytes and gets those of all lanes: lane l's lies at
// l · kExchangeBytesMax. They stay until the caller's next exchange.
inline constexpr size_t kExchangeBytesMax = 128;
const std::byte* exchange(const void* given, size_t bytes, Site site);

int32_t atomic_add(int32_t* to, int32_t value);

}  // namespace potluck::emulator
