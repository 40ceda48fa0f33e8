// Asynchronous copies of 16 bytes from global to shared memory, which kernels/gpu/device/gpu.h
// defines. They land when the thread that began them waits for them, and not before: until then
// their place holds nonsense.
#pragma once

#include "tests/emulator/warp.h"

namespace potluck::emulator {

// Throws std::logic_error if an address is not aligned, or `to` is not in an array of the block.
void copy16(void* to, const void* from, bool inside, Site site);
void commit_copies();
// All but the last `pending` groups land. Throws std::logic_error if a place was written while its
// copy was on the way.
void wait_copies(int pending);

}  // namespace potluck::emulator
