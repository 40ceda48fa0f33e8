// Draws from logits that are off are explained by how far they are off, and no others are.
#include "cluster/verify/drawn_ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace potluck {
namespace {

constexpr int kVocab = 700;  // two tiles and a part
constexpr int kRows = 400;

class DrawnIdsTest : public testing::Test {
 protected:
  std::vector<float> draw_logits() {
    std::vector<float> z(kVocab);
    for (float& value : z) value = std::normal_distribution<float>(0, 3)(random);
    return z;
  }
  std::vector<float> moved(std::vector<float> z, double off) {
    for (float& value : z) value += std::uniform_real_distribution<double>(-off, off)(random);
    return z;
  }
  DrawnRow row(const std::vector<float>& z, int position) const {
    return {z, 1 / 0.7, {.seed = 3, .step = 2}, position};
  }

  std::mt19937 random{5};
};

int greatest(const std::vector<float>& z) {
  return static_cast<int>(std::max_element(z.begin(), z.end()) - z.begin());
}

TEST_F(DrawnIdsTest, WhatMovedLogitsDrawIsExplainedByHowFarTheyMoved) {
  for (const double off : {1e-4, 1e-2, 1.0}) {
    DrawnIds ids;
    for (int i = 0; i < kRows; ++i) {
      const std::vector<float> z = draw_logits(), other = moved(z, off);
      add_row(row(z, i), greatest(other), drawn_id(row(other, i)), off, ids);
    }
    EXPECT_EQ(ids.chosen, 2 * kRows);
    EXPECT_EQ(ids.unexplained, 0) << off;
    EXPECT_EQ(ids.differ > 0, off > 1e-3) << off;
  }
}

TEST_F(DrawnIdsTest, WhatMovedFurtherThanSaidIsNot) {
  DrawnIds ids;
  for (int i = 0; i < kRows; ++i) {
    const std::vector<float> z = draw_logits(), other = moved(z, 3.0);
    add_row(row(z, i), greatest(other), drawn_id(row(other, i)), 1e-3, ids);
  }
  EXPECT_GT(ids.differ, kRows / 4);
  EXPECT_GT(ids.unexplained, ids.differ * 9 / 10);
}

TEST_F(DrawnIdsTest, OtherNoiseThanTheRowsIsFound) {
  DrawnIds ids;
  for (int i = 0; i < kRows; ++i) {
    const std::vector<float> z = draw_logits();
    add_row(row(z, i), greatest(z), drawn_id(row(z, i + 1)), 1e-3, ids);
  }
  EXPECT_GT(ids.unexplained, kRows / 4);
}

// The pick inside a tile that lost its race is right but for the race.
TEST_F(DrawnIdsTest, AnIdOfATileThatLostIsFound) {
  constexpr int kTile = 256;
  for (int i = 0; i < kRows; ++i) {
    const std::vector<float> z = draw_logits();
    const int other = drawn_id(row(z, i)) < kTile ? kTile : 0;
    std::vector<float> alone(kVocab, -300.0f);
    std::copy_n(z.begin() + other, kTile, alone.begin() + other);
    EXPECT_FALSE(can_be_drawn(row(z, i), drawn_id(row(alone, i)), 1e-6)) << i;
  }
}

// An id is drawn as often as its weight says.
TEST_F(DrawnIdsTest, DrawsFollowTheWeights) {
  std::vector<float> z(kVocab, -100.0f);
  z[3] = 0;
  z[600] = 0.7f;  // e times as heavy at this temperature
  int late = 0;
  for (int i = 0; i < 2000; ++i) late += drawn_id(row(z, i)) == 600;
  EXPECT_NEAR(late / 2000.0, 0.731, 0.05);  // five standard deviations
}

}  // namespace
}  // namespace potluck
