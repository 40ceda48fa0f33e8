// Runs a kernel of kernels/gpu on the CPU: a fiber for each thread, a block at a time.
#pragma once

#include <cstdint>

#include "kernels/gpu/kernels.h"

namespace potluck::emulator {

struct Grid {
  int x = 1, y = 1;
};

// Wavefronts of 32 lanes as CUDA has them, or of 64 as some AMD chips have.
enum class Vendor : uint8_t { cuda, hip };

// Runs `kernel` with a copy of its operands. What the kernel does wrong (threads that part at a
// barrier, lanes missing from a shuffle) throws std::logic_error, which says where.
void run(Vendor vendor, gpu::Kernel kernel, Grid grid, const void* operands);

template <typename Operands>
void run(Vendor vendor, Grid grid, const Operands& operands) {
  run(vendor, gpu::kKernelOf<Operands>, grid, &operands);
}

}  // namespace potluck::emulator
