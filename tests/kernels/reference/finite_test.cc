// Every block of every stored type is looked at, and no finite one is refused.
#include "kernels/cpu/reference/finite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/cpu/reference/dequantize.h"

namespace potluck::cpu {
namespace {

constexpr DType kTypes[] = {
    DType::f32,     DType::f16,    DType::bf16,   DType::q4_0,    DType::q4_1,   DType::q5_0,
    DType::q5_1,    DType::q8_0,   DType::q2_k,   DType::q3_k,    DType::q4_k,   DType::q5_k,
    DType::q6_k,    DType::iq4_nl, DType::iq4_xs, DType::iq2_xxs, DType::iq2_xs, DType::iq2_s,
    DType::iq3_xxs, DType::iq3_s,  DType::iq1_s,  DType::iq1_m,   DType::mxfp4};
constexpr int64_t kBlocks = 600;  // more than are read between two looks

bool all_finite(DType type, const uint8_t* block) {
  std::vector<float> values(block_shape(type).values);
  dequantize_row(type, block, values.data(), values.size());
  for (float value : values)
    if (!std::isfinite(value)) return false;
  return true;
}

// Blocks of random bytes whose values are all finite, as dequantizing tells.
std::vector<uint8_t> finite_blocks(DType type, std::mt19937& random) {
  const size_t bytes = block_shape(type).bytes;
  std::vector<uint8_t> blocks(kBlocks * bytes);
  for (int64_t i = 0; i < kBlocks; ++i) do
      for (size_t b = 0; b < bytes; ++b) blocks[i * bytes + b] = random();
    while (!all_finite(type, blocks.data() + i * bytes));
  return blocks;
}

// A block with nonzero integers whose scale or minimum is not finite has a value that is not; only
// what dequantizing shows counts.
TEST(Finite, AgreesWithTheValuesOfEveryBlock) {
  std::mt19937 random(7);
  for (const DType type : kTypes) {
    const size_t bytes = block_shape(type).bytes;
    std::vector<uint8_t> blocks = finite_blocks(type, random);
    EXPECT_EQ(first_not_finite(type, blocks.data(), kBlocks), -1) << dtype_name(type);
    // iq1_m's scale lies in two numbers side by side.
    const size_t width = type == DType::iq1_m ? 4 : 2;
    int found = 0;
    for (const int64_t at : {int64_t{0}, int64_t{255}, int64_t{256}, kBlocks - 1})
      for (size_t byte = 0; byte + width <= bytes; ++byte) {
        uint8_t* word = blocks.data() + at * bytes + byte;
        const std::vector<uint8_t> before(word, word + width);
        std::memset(word, 0xff, width);  // a NaN wherever a number of 16 bits lies
        if (!all_finite(type, blocks.data() + at * bytes)) {
          ++found;
          EXPECT_EQ(first_not_finite(type, blocks.data(), kBlocks), at)
              << dtype_name(type) << " byte " << byte;
          EXPECT_FALSE(std::isfinite(not_finite_value(type, blocks.data() + at * bytes)));
        }
        std::memcpy(word, before.data(), width);
      }
    EXPECT_GE(found, 4) << dtype_name(type);
  }
}

TEST(Finite, TheFirstOfSeveralIsTold) {
  std::vector<float> values(5000, 1.0f);
  values[4321] = values[999] = -INFINITY;
  EXPECT_EQ(first_not_finite(DType::f32, values.data(), std::ssize(values)), 999);
  EXPECT_EQ(not_finite_value(DType::f32, &values[999]), -INFINITY);
}

}  // namespace
}  // namespace potluck::cpu
