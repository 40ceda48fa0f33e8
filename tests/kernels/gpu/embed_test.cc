// The GPU's embeddings on the emulator, to the reference's bits.
#include "kernels/gpu/exact/embed.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

TEST(GpuEmbed, TakesRowsOfAnyStoredTypeToTheBit) {
  constexpr int kRows = 4;
  constexpr int32_t ids[kRows] = {3, 0, 6, 3};
  for (const auto vendor : emulator::kWarpSizes)
    for (const DType type : kStoredTypes)
      for (const int64_t columns : {65, 67, 512, 2304}) {
        if (columns % block_shape(type).values) continue;
        const TestWeights table(type, 1, 7, columns, 1);
        std::vector<float> out(kRows * columns);
        emulator::run(vendor, {kRows}, gpu::Embed{ids, table.gpu(), 53.0f, out.data()});
        for (int t = 0; t < kRows; ++t)
          for (int64_t i = 0; i < columns; ++i)
            ASSERT_EQ(out[t * columns + i], table.row(ids[t])[i] * 53.0f)
                << dtype_name(type) << " row " << t << " value " << i;
      }
}

TEST(GpuEmbed, AnIdThatTheTableHasNotGivesNaN) {
  const TestWeights table(DType::f32, 1, 7, 67, 1);
  for (const int32_t id : {-1, 7}) {
    std::vector<float> out(67);
    emulator::run(emulator::Vendor::cuda, {1}, gpu::Embed{&id, table.gpu(), 53.0f, out.data()});
    for (const float x : out) ASSERT_TRUE(std::isnan(x)) << id;
  }
}

}  // namespace
}  // namespace potluck
