// Philox gives its published answers, and numbers without a pattern.
#include "kernels/noise/philox.h"

#include <gtest/gtest.h>

#include <array>

namespace potluck::noise {
namespace {

// The known answers published with the generator.
TEST(Philox, MeetsItsPublishedAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, ~0ull),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822ull),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EveryPartOfTheAddressMatters) {
  const double first = uniform({{9, 1, 2, 3}, 4, Purpose::tile, 5});
  for (const NoiseAddress& other : {NoiseAddress{{10, 1, 2, 3}, 4, Purpose::tile, 5},
                                    {{9, 0, 2, 3}, 4, Purpose::tile, 5},
                                    {{9, 1, 0, 3}, 4, Purpose::tile, 5},
                                    {{9, 1, 2, 0}, 4, Purpose::tile, 5},
                                    {{9, 1, 2, 3}, 0, Purpose::tile, 5},
                                    {{9, 1, 2, 3}, 4, Purpose::pick, 5},
                                    {{9, 1, 2, 3}, 4, Purpose::tile, 0}})
    EXPECT_NE(first, uniform(other));
}

// Chi-square with 99 degrees of freedom: 160 is passed by chance once in 10,000.
TEST(Philox, IdsAreUniform) {
  constexpr uint32_t kBound = 100, kDraws = 200000;
  std::array<double, kBound> counts{};
  for (uint32_t i = 0; i < kDraws; ++i)
    ++counts[uniform_below({{1, 0, 0, 0}, i, Purpose::renoise}, kBound)];
  double chi_square = 0;
  const double expected = static_cast<double>(kDraws) / kBound;
  for (double count : counts) chi_square += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_square, 160);
}

}  // namespace
}  // namespace potluck::noise
