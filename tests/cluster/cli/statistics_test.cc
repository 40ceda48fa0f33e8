// The median of a list, odd, even or empty.
#include "cluster/cli/statistics.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

TEST(Statistics, MedianIsTheMiddle) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
}

}  // namespace
}  // namespace potluck
