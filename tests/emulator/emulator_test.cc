// The emulator finds what planted kernels do wrong, and runs right ones to the right bits.
#include "tests/emulator/emulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/emulator/planted_kernels.h"
#include "topology/base/dtype.h"

#define X(kernel)                                      \
  extern "C" void emulated_cuda_##kernel(const void*); \
  extern "C" void emulated_hip_##kernel(const void*);  \
  extern "C" void emulated_rdna_##kernel(const void*); \
  extern "C" void emulated_pascal_##kernel(const void*);
POTLUCK_PLANTED_KERNELS(X)
#undef X

namespace potluck::emulator {
namespace {

using gpu::kPlantedThreads;
using testing::AllOf;
using testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAsan = true;
#else
constexpr bool kAsan = false;
#endif
// TSan reports races of planted kernels as it should, and its test then fails.
#if defined(__SANITIZE_THREAD__)
constexpr bool kTsan = true;
#else
constexpr bool kTsan = false;
#endif

struct Planted {
  const char* name;
  void (*body[kVendorCount])(const void*);  // by vendor
};
#define X(kernel)                                                              \
  constexpr Planted k_##kernel{#kernel,                                        \
                               {emulated_cuda_##kernel, emulated_hip_##kernel, \
                                emulated_rdna_##kernel, emulated_pascal_##kernel}};
POTLUCK_PLANTED_KERNELS(X)
#undef X

class Emulator : public testing::TestWithParam<Vendor> {
 protected:
  Program program(const Planted& kernel) const {
    return {kernel.name, kernel.body[static_cast<size_t>(GetParam())], kPlantedThreads,
            sizeof(gpu::Planted)};
  }
  gpu::Planted operands() { return {out.data(), a.data(), b.data(), &counter}; }

  void run_blocks(const Planted& kernel, int blocks, uint64_t seed = 0) {
    const gpu::Planted given = operands();
    run(program(kernel), {blocks, 1}, &given, {.seed = seed});
  }
  std::string finding(const Planted& kernel, int blocks = 1, uint64_t seed = 0) {
    try {
      run_blocks(kernel, blocks, seed);
    } catch (const std::logic_error& error) {
      return error.what();
    }
    return "nothing";
  }
  std::string finding_of_seeds(const Planted& kernel, int blocks) {
    const gpu::Planted given = operands();
    try {
      run_with_seeds(program(kernel), {blocks, 1}, &given, std::as_writable_bytes(std::span(out)));
    } catch (const std::logic_error& error) {
      return error.what();
    }
    return "nothing";
  }

  std::vector<float> out = std::vector<float>(64 * kPlantedThreads, -1);
  std::vector<uint8_t> a = std::vector<uint8_t>(4096), b = std::vector<uint8_t>(4096);
  int32_t counter = 0;
};

INSTANTIATE_TEST_SUITE_P(Vendors, Emulator, testing::ValuesIn(kVendors),
                         [](const auto& test) { return name_of(test.param); });

TEST_P(Emulator, FindsABarrierThatHalfABlockComesTo) {
  EXPECT_THAT(finding(k_half_a_barrier),
              AllOf(HasSubstr("half_a_barrier, block (0, 0), seed 0"),
                    HasSubstr("threads 0-31: wait at barrier"), HasSubstr("planted_kernels.cc:10"),
                    HasSubstr("threads 32-63: have ended")));
}

TEST_P(Emulator, FindsABlockThatPartsBetweenTwoBarriers) {
  EXPECT_THAT(finding(k_two_barriers), AllOf(HasSubstr("part"), HasSubstr("planted_kernels.cc:16"),
                                             HasSubstr("planted_kernels.cc:18")));
}

TEST_P(Emulator, FindsAMissingLane) {
  EXPECT_THAT(finding(k_missing_lane), AllOf(HasSubstr("threads 32-36: wait at shuffle"),
                                             HasSubstr("thread 37: wait at barrier"),
                                             HasSubstr("threads 38-63: wait at shuffle")));
  EXPECT_THAT(finding(k_ended_lane),
              AllOf(HasSubstr("wait at warp_sync"), HasSubstr("thread 3: have ended")));
}

TEST_P(Emulator, FindsLanesAtDifferentExchanges) {
  EXPECT_THAT(finding(k_different_exchanges),
              AllOf(HasSubstr("part"), HasSubstr("wait at ballot"), HasSubstr("wait at shuffle")));
}

TEST_P(Emulator, FindsAShuffleFromALaneThatNoWarpHas) {
  EXPECT_THAT(finding(k_stray_shuffle), HasSubstr("a shuffle from lane 32"));
}

TEST_P(Emulator, SharedMemoryThatNobodyWroteHoldsNonsense) {
  run_blocks(k_unwritten_read, 1);
  for (int t = 0; t < kPlantedThreads; ++t) EXPECT_EQ(std::isnan(out[t]), t >= 32) << t;
  EXPECT_THAT(finding_of_seeds(k_unwritten_read, 1), HasSubstr("byte 128 of its results differs"));
}

TEST_P(Emulator, FindsWritesOutsideOfSharedArrays) {
  if (kAsan) {
    EXPECT_DEATH(run_blocks(k_overrun, 1), "use-after-poison");
    EXPECT_DEATH(run_blocks(k_underrun, 1), "use-after-poison");
    return;
  }
  EXPECT_THAT(finding(k_overrun), AllOf(HasSubstr("past the end of the array values"),
                                        HasSubstr("planted_kernels.cc:")));
  EXPECT_THAT(finding(k_underrun), HasSubstr("before the array values"));
}

TEST_P(Emulator, FindsAPointerThatOutlivesItsBlock) {
  if (kTsan) GTEST_SKIP() << "TSan reports it as a race";
  if (kAsan)
    EXPECT_DEATH(run_blocks(k_kept_pointer, 20), "use-after-poison");
  else
    EXPECT_THAT(finding(k_kept_pointer, 20), HasSubstr("after that block had ended"));
}

TEST_P(Emulator, FindsWrittenOperands) {
  EXPECT_THAT(finding(k_written_operands), HasSubstr("operands were written"));
}

TEST_P(Emulator, FindsMoreSharedMemoryThanCardsHave) {
  EXPECT_THAT(finding(k_too_much_shared), HasSubstr("with the array others it takes 49156"));
}

TEST_P(Emulator, RefusesGridsThatCardsRefuse) {
  const gpu::Planted given = operands();
  for (const Grid grid : {Grid{0, 1}, Grid{1, 0}, Grid{1, 65536}})
    EXPECT_THROW(run(program(k_last_block_wins), grid, &given), std::logic_error);
}

TEST_P(Emulator, SeedsFindMissingOrder) {
  if (kTsan) GTEST_SKIP() << "TSan reports it as a race";
  EXPECT_THAT(finding_of_seeds(k_missing_barrier, 4), HasSubstr("differs between seeds 0 and"));
  EXPECT_THAT(finding_of_seeds(k_missing_warp_sync, 4), HasSubstr("differs between seeds 0 and"));
  EXPECT_THAT(finding_of_seeds(k_last_block_wins, 8), HasSubstr("differs between seeds 0 and"));
}

TEST_P(Emulator, TheSameSeedIsTheSameRunWithBlocksInterleaved) {
  constexpr int kBlocks = 6;
  const auto arrivals = [&](uint64_t seed) {
    counter = 0;
    run_blocks(k_arrivals, kBlocks, seed);
    return std::vector<float>(out.begin(), out.begin() + kBlocks * kPlantedThreads);
  };
  const std::vector<float> first = arrivals(7);
  EXPECT_EQ(arrivals(7), first);
  EXPECT_NE(arrivals(8), first);
  int changes = 0;  // of the block from one arrival to the next
  for (size_t i = 1; i < first.size(); ++i)
    changes += int(first[i]) / kPlantedThreads != int(first[i - 1]) / kPlantedThreads;
  EXPECT_GT(changes, kBlocks);
  std::vector<float> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], i);
}

// Threads that were left in the middle of a kernel are not gone on with.
TEST_P(Emulator, GoesOnAfterAFinding) {
  EXPECT_NE(finding(k_ended_lane, 5), "nothing");
  run_blocks(k_last_block_wins, 1);
  EXPECT_EQ(out[63], 0);
}

TEST_P(Emulator, CopiesLandAtTheirWait) {
  for (size_t i = 0; i < 512; ++i) reinterpret_cast<float*>(a.data())[i] = i;
  run_blocks(k_early_copy, 1);
  for (int t = 0; t < kPlantedThreads; ++t) EXPECT_TRUE(std::isnan(out[t])) << t;
  for (const uint64_t seed : {0, 1, 2}) {
    run_blocks(k_piped_copies, 1, seed);
    for (int i = 0; i < 4 * kPlantedThreads; ++i) {
      const int from = (i / 4 + 40) % kPlantedThreads;
      ASSERT_EQ(out[i], from == 5 ? 0 : from * 4 + i % 4) << i;
    }
    for (int t = 0; t < kPlantedThreads; ++t)
      ASSERT_EQ(out[4 * kPlantedThreads + t], t == 5 ? 0 : (kPlantedThreads + t) * 4) << t;
  }
}

TEST_P(Emulator, FindsWrongCopies) {
  EXPECT_THAT(finding(k_forgotten_copy), HasSubstr("copies that it did not wait for"));
  EXPECT_THAT(finding(k_skewed_copy), HasSubstr("not aligned to 16"));
  EXPECT_THAT(finding(k_stray_copy),
              AllOf(HasSubstr("thread 63"), HasSubstr("does not go to a shared array")));
  EXPECT_THAT(finding(k_overwritten_copy), HasSubstr("while a copy was on its way"));
}

TEST_P(Emulator, MultipliesMatricesOfF16) {
  if (!has_matrix_units(GetParam())) {
    EXPECT_THAT(finding(k_multiply_f16), HasSubstr("no such matrix units"));
    return;
  }
  const int columns = GetParam() == Vendor::cuda ? 8 : 16, depth = 16;
  std::mt19937 random(1);
  std::vector<uint16_t> x(16 * depth), y(columns * depth);
  const auto draw = [&] { return f16_from_f32(int(random() % 4001 - 2000) / 1000.0f); };
  for (uint16_t& value : x) value = draw();
  for (uint16_t& value : y) value = draw();
  std::memcpy(a.data(), x.data(), x.size() * 2);
  std::memcpy(b.data(), y.data(), y.size() * 2);
  run_blocks(k_multiply_f16, 1);
  for (int i = 0; i < 2 * 16 * columns; ++i) {
    const int row = i / columns % 16, column = i % columns;
    double sum = 1;
    for (int k = 0; k < depth; ++k)
      sum += double(f32_from_f16(x[row * depth + k])) * f32_from_f16(y[column * depth + k]);
    ASSERT_EQ(out[i], float(sum)) << row << ", " << column;
  }
}

TEST_P(Emulator, MultipliesMatricesOfInt8) {
  if (!has_matrix_units(GetParam())) {
    EXPECT_THAT(finding(k_multiply_s8), HasSubstr("no such matrix units"));
    return;
  }
  const int columns = GetParam() == Vendor::cuda ? 8 : 16,
            depth = GetParam() == Vendor::cuda ? 32 : 16;
  std::mt19937 random(2);
  for (uint8_t& value : a) value = random();
  for (uint8_t& value : b) value = random();
  run_blocks(k_multiply_s8, 1);
  for (int i = 0; i < 2 * 16 * columns; ++i) {
    const int row = i / columns % 16, column = i % columns;
    int sum = 1;
    for (int k = 0; k < depth; ++k)
      sum += int8_t(a[row * depth + k]) * int8_t(b[column * depth + k]);
    ASSERT_EQ(out[i], sum) << row << ", " << column;
  }
}

TEST_P(Emulator, LoadsMatricesWhereCardsDo) {
  if (GetParam() != Vendor::cuda) {
    EXPECT_THAT(finding(k_load_plain), HasSubstr("no such matrix units"));
    return;
  }
  std::vector<uint16_t> values(kPlantedThreads * 8);
  for (size_t i = 0; i < values.size(); ++i) values[i] = i;
  std::memcpy(a.data(), values.data(), values.size() * 2);
  for (const bool transposed : {false, true}) {
    run_blocks(transposed ? k_load_transposed : k_load_plain, 1);
    const auto* words = reinterpret_cast<const uint32_t*>(out.data());
    for (int i = 0; i < kPlantedThreads * 4; ++i) {
      const int thread = i / 4, row = thread % 32 / 4, column = thread % 4 * 2;
      const int matrix = (thread / 32 * 32 + i % 4 * 8) * 8;
      const int first = matrix + (transposed ? column * 8 + row : row * 8 + column);
      ASSERT_EQ(words[i], first + ((first + (transposed ? 8 : 1)) << 16)) << i;
    }
  }
  EXPECT_THAT(finding(k_skewed_matrix), AllOf(HasSubstr("thread 7"), HasSubstr("not aligned")));
  EXPECT_THAT(finding(k_stray_matrix), AllOf(HasSubstr("thread 63"), HasSubstr("does not lie in")));
}

TEST_P(Emulator, FindsHalvesThatDifferWhereTheyMirror) {
  if (!has_matrix_units(GetParam())) return;
  EXPECT_THAT(finding(k_unequal_halves),
              HasSubstr(GetParam() == Vendor::rdna ? "same values of A and B in lanes 4 and 20"
                                                   : "nothing"));
}

TEST_P(Emulator, TsanFindsMissingOrderOnItsLine) {
  if (!kTsan) GTEST_SKIP() << "built without TSan";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const Planted& kernel : {k_missing_barrier, k_missing_warp_sync}) {
    const std::string line = std::string("data race .*planted_kernels.cc.* in ") + kernel.name;
    EXPECT_EXIT((run_blocks(kernel, 1), exit(0)), testing::ExitedWithCode(66), line);
  }
}

}  // namespace
}  // namespace potluck::emulator
