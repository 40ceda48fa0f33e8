// The opening of stored values, where no kernel shows all of it.
#include "kernels/gpu/device/dequantize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

// The row cannot be read there.
TEST(GpuDequantize, PastARowsEndThereAreZeros) {
  for (const DType type : kStoredTypes) {
    float run[8];
    std::fill(std::begin(run), std::end(run), NAN);
    gpu::open_run(stored_type(type), nullptr, 256, 256, run);
    for (const float x : run) EXPECT_EQ(x, 0) << dtype_name(type);
  }
}

}  // namespace
}  // namespace potluck
