// The GPU's fill and copy on the emulator.
#include "kernels/gpu/exact/memory.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/emulator/emulator.h"

namespace potluck {
namespace {

TEST(GpuMemory, FillSetsItsWordsAndNoOther) {
  for (const auto vendor : emulator::kVendors)
    for (const int64_t count : {1, 256, 300}) {
      std::vector<uint32_t> words(count + 2, 7);
      const int blocks = count / gpu::kFillWords + 1;
      emulator::run(vendor, {blocks}, gpu::Fill{words.data() + 1, count, 0xdeadbeef});
      EXPECT_EQ(words.front(), 7u);
      EXPECT_EQ(words.back(), 7u);
      for (int64_t i = 1; i <= count; ++i) ASSERT_EQ(words[i], 0xdeadbeef) << i;
    }
}

TEST(GpuMemory, CopyTakesItsBytesAndNoOther) {
  std::vector<uint8_t> from(2 * gpu::kCopyBytes + 16);
  for (size_t i = 0; i < from.size(); ++i) from[i] = 1 + i % 251;
  for (const auto vendor : emulator::kVendors)
    for (const int64_t count : {1, 7, 1024, gpu::kCopyBytes, gpu::kCopyBytes + 3})
      for (const int at : {0, 1, 2, 4}) {
        std::vector<uint8_t> to(from.size());
        const int blocks = (count + gpu::kCopyBytes - 1) / gpu::kCopyBytes;
        emulator::run(vendor, {blocks}, gpu::Copy{from.data() + at, to.data() + 4, count});
        std::vector<uint8_t> expected(from.size());
        std::copy_n(from.begin() + at, count, expected.begin() + 4);
        ASSERT_EQ(to, expected) << count << " from " << at;
      }
}

}  // namespace
}  // namespace potluck
