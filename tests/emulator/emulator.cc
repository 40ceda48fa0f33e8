// The list of all kernels, for each vendor.
#include "tests/emulator/emulator.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/emulator/machine.h"

#define X(kernel, Operands, threads)                   \
  extern "C" void emulated_cuda_##kernel(const void*); \
  extern "C" void emulated_hip_##kernel(const void*);  \
  extern "C" void emulated_rdna_##kernel(const void*); \
  extern "C" void emulated_pascal_##kernel(const void*);
POTLUCK_GPU_KERNELS(X)
#undef X

namespace potluck::emulator {
namespace {

using Body = void (*)(const void*);

struct Bodies {
  Body of[kVendorCount];  // by vendor
};
constexpr Bodies kBodies[] = {
#define X(kernel, Operands, threads)                                       \
  {{emulated_cuda_##kernel, emulated_hip_##kernel, emulated_rdna_##kernel, \
    emulated_pascal_##kernel}},
    POTLUCK_GPU_KERNELS(X)
#undef X
};

}  // namespace

Program program_of(Vendor vendor, gpu::Kernel kernel) {
  const auto index = static_cast<size_t>(kernel);
  const gpu::KernelFacts& facts = gpu::kKernels[index];
  return {facts.name, kBodies[index].of[static_cast<size_t>(vendor)], facts.threads,
          static_cast<size_t>(facts.operand_bytes)};
}

void run(const Program& program, Grid grid, const void* operands, const Options& options) {
  machine().run(program, grid, operands, options);
}

void run_with_seeds(const Program& program, Grid grid, const void* operands,
                    std::span<std::byte> memory, int seeds) {
  const std::vector<std::byte> before(memory.begin(), memory.end());
  run(program, grid, operands);
  const std::vector<std::byte> first(memory.begin(), memory.end());
  for (int seed = 1; seed < seeds; ++seed) {
    std::copy(before.begin(), before.end(), memory.begin());
    run(program, grid, operands, {.seed = static_cast<uint64_t>(seed)});
    const auto [a, b] = std::mismatch(first.begin(), first.end(), memory.begin());
    if (a != first.end())
      throw std::logic_error(std::string(program.name) + ": byte " +
                             std::to_string(a - first.begin()) +
                             " of its results differs between seeds 0 and " + std::to_string(seed));
  }
}

}  // namespace potluck::emulator
