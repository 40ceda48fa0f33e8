// The GPU's fill, copy and draws on the emulator.
#include "kernels/gpu/exact/memory.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "kernels/noise/philox.h"
#include "tests/emulator/emulator.h"
#include "topology/base/dtype.h"

namespace potluck {
namespace {

TEST(GpuMemory, FillSetsItsWordsAndNoOther) {
  for (const auto vendor : emulator::kWarpSizes)
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
  for (const auto vendor : emulator::kWarpSizes)
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

std::vector<uint8_t> drawn(emulator::Vendor vendor, gpu::Draw draw, int64_t first, int64_t count) {
  std::vector<uint8_t> bytes(count + 4, 0x77);
  draw.to = bytes.data() + 2;
  draw.first = first;
  draw.count = count;
  const int words = (first % gpu::kDrawBytes + count + gpu::kDrawBytes - 1) / gpu::kDrawBytes;
  emulator::run(vendor, {(words + gpu::kDrawThreads - 1) / gpu::kDrawThreads}, draw);
  for (const int64_t i : {int64_t{0}, int64_t{1}, count + 2, count + 3}) EXPECT_EQ(bytes[i], 0x77);
  return {bytes.begin() + 2, bytes.end() - 2};
}

constexpr gpu::Draw kBlocks = {.to = nullptr,
                               .first = 0,
                               .count = 0,
                               .key = 7,
                               .scale = 0.25f,
                               .as = gpu::DrawnAs::blocks,
                               .block_bytes = 34,
                               .scale_at = {0, 6}};

// A piece that a block of threads draws without one to spare, some way into the whole.
constexpr std::pair<int64_t, int64_t> kOneBlock = {17 * gpu::kDrawBytes,
                                                   gpu::kDrawThreads* gpu::kDrawBytes};

TEST(GpuMemory, WhatIsDrawnIsTheSameOnEveryCardAndInAnyPieces) {
  const int64_t bytes = 300 * kBlocks.block_bytes;
  const auto whole = drawn(emulator::Vendor::cuda, kBlocks, 0, bytes);
  for (const auto vendor : emulator::kVendors) {
    EXPECT_EQ(drawn(vendor, kBlocks, 0, bytes), whole);
    for (const auto& [first, count] :
         {std::pair<int64_t, int64_t>{0, 2}, {14, 4}, {34, 6000}, {4110, 4098}, kOneBlock})
      EXPECT_EQ(drawn(vendor, kBlocks, first, count),
                std::vector(whole.begin() + first, whole.begin() + first + count))
          << first;
  }
  gpu::Draw other = kBlocks;
  other.key = 8;
  EXPECT_NE(drawn(emulator::Vendor::cuda, other, 0, bytes), whole);
}

TEST(GpuMemory, WhatIsDrawnIsPhilox) {
  const auto bytes = drawn(emulator::Vendor::cuda, kBlocks, 0, 2 * gpu::kDrawBytes);
  const noise::Words words = noise::philox4x32({1, 0, 0, 0}, kBlocks.key);
  const uint32_t expected[] = {words.a, words.b, words.c, words.d};
  EXPECT_EQ(std::memcmp(bytes.data() + gpu::kDrawBytes, expected, sizeof(expected)), 0);
}

uint16_t half_bits_at(const std::vector<uint8_t>& bytes, int64_t at) {
  return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
}

float half_at(const std::vector<uint8_t>& bytes, int64_t at) {
  return f32_from_f16(half_bits_at(bytes, at));
}

uint32_t random_bits_at(int64_t at) {
  const noise::Words words =
      noise::philox4x32({static_cast<uint32_t>(at / gpu::kDrawBytes), 0, 0, 0}, kBlocks.key);
  const uint32_t of_word[] = {words.a, words.b, words.c, words.d};
  const int64_t half = at % gpu::kDrawBytes / 2;
  return of_word[half / 2] >> (half % 2 * 16) & 0xffff;
}

TEST(GpuMemory, ScalesOfDrawnBlocksAreRoundedToTheNearest) {
  const auto bytes = drawn(emulator::Vendor::cuda, kBlocks, 0, 300 * kBlocks.block_bytes);
  for (int64_t block = 0; block < std::ssize(bytes); block += kBlocks.block_bytes)
    for (const int at : kBlocks.scale_at) {
      const float share = static_cast<float>(random_bits_at(block + at)) * 0x1p-16f;
      EXPECT_EQ(half_bits_at(bytes, block + at),
                f16_from_f32(kBlocks.scale * (0.5f + 0.5f * share)))
          << block << ", " << at;
    }
}

TEST(GpuMemory, DrawnBlocksHaveScalesOfTheAskedSizeAndAllLevels) {
  const auto bytes = drawn(emulator::Vendor::hip, kBlocks, 0, 300 * kBlocks.block_bytes);
  std::set<int> levels;
  for (int64_t block = 0; block < std::ssize(bytes); block += kBlocks.block_bytes) {
    for (const int at : kBlocks.scale_at) {
      EXPECT_GE(half_at(bytes, block + at), kBlocks.scale / 2);
      EXPECT_LE(half_at(bytes, block + at), kBlocks.scale);
    }
    for (int i = 8; i < kBlocks.block_bytes; ++i) levels.insert(bytes[block + i]);
  }
  EXPECT_EQ(levels.size(), 256u);
}

TEST(GpuMemory, DrawnValuesAreUniformWithinTheirScale) {
  gpu::Draw halves = kBlocks, brains = kBlocks;
  halves.as = gpu::DrawnAs::f16;
  brains.as = gpu::DrawnAs::bf16;
  const int64_t count = 4000;
  const auto f16 = drawn(emulator::Vendor::cuda, halves, 0, 2 * count);
  const auto bf16 = drawn(emulator::Vendor::cuda, brains, 0, 2 * count);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float value = half_at(f16, 2 * i);
    const float same = f32_from_bf16(static_cast<uint16_t>(bf16[2 * i] | bf16[2 * i + 1] << 8));
    EXPECT_LE(std::fabs(value), halves.scale);
    EXPECT_NEAR(same, value, halves.scale * 0x1p-7);
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / count, 0, halves.scale / 20);
  EXPECT_NEAR(squares / count, halves.scale * halves.scale / 3, 0.002);
}

}  // namespace
}  // namespace potluck
