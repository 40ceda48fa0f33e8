#include "kernels/cpu/dequantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "cluster/tensor_file.h"

namespace potluck {
namespace {

constexpr DType kAll[] = {DType::f16,  DType::bf16, DType::q8_0,   DType::q4_0,  DType::q4_1,
                          DType::q5_0, DType::q5_1, DType::q2_k,   DType::q3_k,  DType::q4_k,
                          DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs};

TEST(Dequantize, MeetsGgmlBitForBit) {
  const TensorFile recorded(POTLUCK_GOLDEN "/blocks.safetensors");
  for (DType type : kAll) {
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

TEST(Dequantize, WidensEveryHalfFloatAsItsScalarFormDoes) {
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

TEST(Dequantize, Bf16RoundsToNearestEven) {
  EXPECT_EQ(bf16_from_f32(1.0f), 0x3f80);
  EXPECT_EQ(bf16_from_f32(1.00390625f), 0x3f80);                // halfway between 0x3f80 and 0x3f81
  EXPECT_EQ(bf16_from_f32(1.01171875f), 0x3f82);                // halfway between 0x3f81 and 0x3f82
  EXPECT_EQ(f32_from_bf16(bf16_from_f32(9.797959f)), 9.8125f);  // √96, the embedding scale
}

}  // namespace
}  // namespace potluck
