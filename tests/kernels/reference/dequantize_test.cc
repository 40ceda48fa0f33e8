// Stored blocks are dequantized as ggml does, and rounding to them errs by half a step at most.
#include "kernels/cpu/reference/dequantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <span>

#include "cluster/verify/tensor_file.h"

namespace potluck {
namespace {

constexpr DType kAll[] = {DType::f16,  DType::bf16, DType::q8_0,   DType::q4_0,  DType::q4_1,
                          DType::q5_0, DType::q5_1, DType::q2_k,   DType::q3_k,  DType::q4_k,
                          DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs};

constexpr DType kLowBit[] = {DType::iq2_xxs, DType::iq2_xs, DType::iq2_s, DType::iq3_xxs,
                             DType::iq3_s,   DType::iq1_s,  DType::iq1_m, DType::mxfp4};

// `file` has blocks and values of each type.
void expect_recorded_values(const char* file, std::span<const DType> types) {
  const TensorFile recorded(std::string(POTLUCK_GOLDEN "/") + file);
  for (DType type : types) {
    std::string name = dtype_name(type);
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    const auto blocks = recorded.bytes(name + ".blocks");
    const auto expected = recorded.floats(name + ".values");
    std::vector<float> actual(expected.size());
    ASSERT_EQ(row_bytes(type, static_cast<int64_t>(expected.size())), blocks.size()) << name;
    cpu::dequantize_row(type, blocks.data(), actual.data(), static_cast<int64_t>(actual.size()));
    EXPECT_EQ(std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)), 0)
        << name;
  }
}

TEST(Dequantize, MeetsGgmlBitForBit) {
  expect_recorded_values("blocks.safetensors", kAll);
}

TEST(Dequantize, MeetsGgmlBitForBitInLowBitTypes) {
  expect_recorded_values("blocks_low_bit.safetensors", kLowBit);
}

// Half a step of the block's scale, and the scale's own rounding to 11 bits over at most 127 steps.
TEST(Dequantize, QuantisedHopsStayWithinTheirStep) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(256), y(256);
  for (float& value : x) value = normal(random);
  std::vector<std::byte> wire(row_bytes(DType::q8_0, 256));
  cpu::quantize_row(DType::q8_0, x.data(), wire.data(), 256);
  cpu::dequantize_row(DType::q8_0, wire.data(), y.data(), 256);
  for (size_t block = 0; block < x.size(); block += 32) {
    float most = 0;
    for (size_t i = block; i < block + 32; ++i) most = std::max(most, std::fabs(x[i]));
    const float bound = most / 127 * 0.5f + most * 0x1p-11f;
    for (size_t i = block; i < block + 32; ++i) EXPECT_LE(std::fabs(x[i] - y[i]), bound) << i;
  }
}

TEST(Dequantize, EveryHalfFloatSurvivesTheWayThereAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = f32_from_f16(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(f16_from_f32(value), bits);
  }
}

TEST(Dequantize, ConvertsEveryHalfFloatAsItsScalarFormDoes) {
  std::vector<uint16_t> bits(65536);
  for (uint32_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(bits.size());
  cpu::dequantize_row(DType::f16, bits.data(), wide.data(), 65536);
  for (uint32_t i = 0; i < bits.size(); ++i) {
    const float expected = f32_from_f16(bits[i]);
    ASSERT_EQ(std::isnan(wide[i]), std::isnan(expected)) << i;
    if (std::isnan(expected)) continue;
    ASSERT_EQ(std::memcmp(&wide[i], &expected, 4), 0) << i;
  }
}

// Both signs of every exponent, with mantissas at and beside what is halfway between two of f16 and
// of bf16, infinities and what is no number among them; more than a vector of them, and a part.
TEST(Dequantize, RowsAreRoundedAsSingleValuesAre) {
  std::vector<float> x;
  for (uint32_t high = 0; high < 512; ++high)
    for (uint32_t mantissa :
         {0x0u, 0x1u, 0xfffu, 0x1000u, 0x1001u, 0x2fffu, 0x3000u, 0x3001u, 0x7fffu, 0x8000u,
          0x8001u, 0x17fffu, 0x18000u, 0x7fe000u, 0x7fefffu, 0x7fffffu})
      x.push_back(std::bit_cast<float>(high << 23 | mantissa));
  x.resize(x.size() - 3);
  std::vector<uint16_t> f16(x.size()), bf16(x.size());
  const auto count = static_cast<int64_t>(x.size());
  cpu::quantize_row(DType::f16, x.data(), f16.data(), count);
  cpu::quantize_row(DType::bf16, x.data(), bf16.data(), count);
  for (size_t i = 0; i < x.size(); ++i) {
    SCOPED_TRACE(x[i]);
    if (std::isnan(x[i])) {
      EXPECT_TRUE(std::isnan(f32_from_f16(f16[i])) && std::isnan(f32_from_bf16(bf16[i])));
    } else {
      ASSERT_EQ(f16[i], f16_from_f32(x[i]));
      ASSERT_EQ(bf16[i], bf16_from_f32(x[i]));
    }
  }
}

TEST(Dequantize, Bf16RoundsToNearestEven) {
  EXPECT_EQ(bf16_from_f32(1.0f), 0x3f80);
  EXPECT_EQ(bf16_from_f32(1.00390625f), 0x3f80);                // halfway between 0x3f80 and 0x3f81
  EXPECT_EQ(bf16_from_f32(1.01171875f), 0x3f82);                // halfway between 0x3f81 and 0x3f82
  EXPECT_EQ(f32_from_bf16(bf16_from_f32(9.797959f)), 9.8125f);  // √96, the embedding scale
}

}  // namespace
}  // namespace potluck
