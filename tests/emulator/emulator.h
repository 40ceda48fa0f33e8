// Runs a kernel of kernels/gpu on the CPU: a fiber for each thread, several blocks alive at once,
// blocks and threads in an order that a seed chooses.
//
// What a kernel does wrong throws std::logic_error, which names kernel, block, threads and place:
// threads that part at a barrier, lanes missing from an exchange, shared memory written outside of
// its arrays or after its block had ended, more of it than cards have, copies never waited for, and
// operands written. Shared memory that nobody wrote holds NaNs (an even seed) or random bits (an
// odd one). ASan builds name the line of every access out of bounds, TSan builds that of an access
// that no barrier orders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/gpu/kernels.h"
#include "tests/emulator/vendor.h"

namespace potluck::emulator {

struct Grid {
  int x = 1, y = 1;
};

// The same seed gives the same run.
struct Options {
  uint64_t seed = 0;
  int blocks_alive = 3;
};

// A kernel as a compiler left it.
struct Program {
  const char* name = nullptr;
  void (*body)(const void* operands) = nullptr;  // of one thread
  int threads = 0;                               // of a block
  size_t operand_bytes = 0;
};

Program program_of(Vendor vendor, gpu::Kernel kernel);

// Runs a program with a copy of its operands.
void run(const Program& program, Grid grid, const void* operands, const Options& options = {});

// Runs a program with the seeds 0, 1, … seeds - 1, each on `memory` as it was before, and throws
// std::logic_error if that then holds other bits than after the first.
void run_with_seeds(const Program& program, Grid grid, const void* operands,
                    std::span<std::byte> memory, int seeds = 4);

inline void run(Vendor vendor, gpu::Kernel kernel, Grid grid, const void* operands,
                const Options& options = {}) {
  run(program_of(vendor, kernel), grid, operands, options);
}

template <typename Operands>
void run(Vendor vendor, Grid grid, const Operands& operands, const Options& options = {}) {
  run(vendor, gpu::kKernelOf<Operands>, grid, &operands, options);
}

}  // namespace potluck::emulator
