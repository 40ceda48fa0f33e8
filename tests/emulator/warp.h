// What a thread of an emulated GPU can do together with the others of its block.
#pragma once

#include <cstddef>
#include <cstdint>

namespace potluck::emulator {

struct Place {
  int thread = 0;  // within its block
  int block_x = 0, block_y = 0;
};

const Place& here();

// The block's memory for a place in a kernel's code, the same for all of its threads.
void* shared_memory(const void* place, size_t bytes, size_t alignment);

// Every thread of the block must call it.
void barrier();
// The 32 lanes of the caller's group must call these together.
void warp_sync();
int shuffle(int value, int from);
uint32_t ballot(bool set);

int32_t atomic_add(int32_t* to, int32_t value);

}  // namespace potluck::emulator
