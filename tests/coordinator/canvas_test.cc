// A canvas ends at its first end id, and its noise is a function of its address alone.
#include "coordinator/canvas.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

TEST(Canvas, EndsAtTheFirstEndIdAndIsPaddedAfterIt) {
  std::vector<int32_t> canvas = {7, 106, 9, 1, 8};
  EXPECT_EQ(pad_after_end(canvas, std::vector<int32_t>{1, 106, 50}, 0), 1);
  EXPECT_EQ(canvas, (std::vector<int32_t>{7, 106, 0, 0, 0}));
}

TEST(Canvas, WithoutAnEndIdStaysAsItIs) {
  std::vector<int32_t> canvas = {7, 8, 9};
  EXPECT_EQ(pad_after_end(canvas, std::vector<int32_t>{1}, 0), -1);
  EXPECT_EQ(canvas, (std::vector<int32_t>{7, 8, 9}));
}

TEST(Canvas, NoiseIsAFunctionOfItsAddressAlone) {
  const StepKey key{42, 0, 1, 0};
  EXPECT_EQ(initial_canvas(key, 64, 1000), initial_canvas(key, 64, 1000));
  EXPECT_NE(initial_canvas(key, 64, 1000), initial_canvas({42, 0, 2, 0}, 64, 1000));
  EXPECT_NE(initial_canvas(key, 64, 1000), initial_canvas({43, 0, 1, 0}, 64, 1000));
  EXPECT_NE(renoise_ids(key, 64, 1000), initial_canvas(key, 64, 1000));
  EXPECT_NE(renoise_ids(key, 64, 1000), renoise_ids({42, 0, 1, 1}, 64, 1000));
  for (int32_t id : initial_canvas(key, 5000, 3)) ASSERT_TRUE(id >= 0 && id < 3);
}

}  // namespace
}  // namespace potluck
