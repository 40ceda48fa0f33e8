// Accesses of known strides are counted as a card would serve them.
#include "tests/emulator/accesses.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/emulator/strided_kernels.h"

#define X(kernel) extern "C" void emulated_cuda_##kernel(const void*);
POTLUCK_STRIDED_KERNELS(X)
#undef X

namespace potluck::emulator {
namespace {

using gpu::kStridedThreads;

Touch touch(uint64_t address, uint32_t bytes, bool in_shared) {
  return {nullptr, address, bytes, in_shared};
}

// A warp whose lanes touch `bytes` each, `stride` bytes apart.
AccessCounts warp_of(uint32_t bytes, uint64_t stride, bool in_shared) {
  std::vector<Touch> touches;
  for (int lane = 0; lane < kLanes; ++lane)
    touches.push_back(touch(lane * stride, bytes, in_shared));
  return counts_of(touches);
}

// Runs a kernel of two warps and returns what is new in its counts.
AccessCounts run_strided(const char* name, void (*body)(const void*), int stride) {
  std::vector<float> out(kStridedThreads), in(kStridedThreads * 32);
  const gpu::Strided operands{out.data(), in.data(), stride};
  const auto before = accesses().kernels();
  run({name, body, kStridedThreads, sizeof(operands)}, {1, 1}, &operands);
  AccessCounts counts = accesses().kernels().at(name);
  if (const auto earlier = before.find(name); earlier != before.end()) {
    counts.sectors -= earlier->second.sectors;
    counts.waves -= earlier->second.waves;
    counts.waves_least -= earlier->second.waves_least;
  }
  return counts;
}

TEST(Accesses, SectorsOfGlobalMemory) {
  EXPECT_EQ(warp_of(4, 4, false).sectors, 4);
  EXPECT_EQ(warp_of(4, 4, false).sectors_least, 4);
  EXPECT_EQ(warp_of(4, 128, false).sectors, 32);
  EXPECT_EQ(warp_of(4, 0, false).sectors, 1);
  EXPECT_EQ(warp_of(16, 16, false).sectors, 16);
  EXPECT_EQ(warp_of(2, 34, false).sectors, 32);
  EXPECT_EQ(warp_of(2, 34, false).sectors_least, 2);
}

TEST(Accesses, WavesOfSharedMemory) {
  EXPECT_EQ(warp_of(4, 4, true).waves, 1);
  EXPECT_EQ(warp_of(4, 8, true).waves, 2);
  EXPECT_EQ(warp_of(4, 128, true).waves, 32);
  EXPECT_EQ(warp_of(4, 132, true).waves, 1);
  EXPECT_EQ(warp_of(4, 0, true).waves, 1);  // lanes share a word
  EXPECT_EQ(warp_of(2, 2, true).waves, 1);
  EXPECT_EQ(warp_of(16, 16, true).waves, 4);
  EXPECT_EQ(warp_of(16, 16, true).waves_least, 4);
  EXPECT_EQ(warp_of(16, 128, true).waves, 32);
}

TEST(Accesses, AKernelThatStridesIsSeen) {
  const AccessCounts near = run_strided("strided_loads", emulated_cuda_strided_loads, 1);
  const AccessCounts far = run_strided("strided_loads", emulated_cuda_strided_loads, 32);
  EXPECT_LE(near.sectors, 20);  // 2 warps · (4 + 4), more where an array does not begin at a sector
  EXPECT_GE(far.sectors, 2 * 32);
}

TEST(Accesses, BankConflictsOfAKernelAreSeen) {
  const auto waves = [](int stride) {
    return run_strided("strided_shared", emulated_cuda_strided_shared, stride).waves;
  };
  EXPECT_EQ(waves(1), 2 * 2);  // 2 warps store and load
  EXPECT_EQ(waves(2), 2 * 2 * 2);
  EXPECT_EQ(waves(32), 2 * 2 * 32);
  const auto wide = [](int stride) {
    return run_strided("wide_shared", emulated_cuda_wide_shared, stride);
  };
  EXPECT_GE(wide(4).waves_least, 2 * 2);
  EXPECT_GT(wide(32).waves, 4 * wide(4).waves);
}

}  // namespace
}  // namespace potluck::emulator
