// The GPU's grouping by expert on the emulator: what the reference says, exactly.
#include "kernels/gpu/exact/group_rows.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "kernels/cpu/reference/expert_groups.h"
#include "tests/emulator/emulator.h"

namespace potluck {
namespace {

struct Groups {
  std::vector<int32_t> order, place, begin;
  bool operator==(const Groups&) const = default;
};

struct Grouped {
  Groups groups;
  std::vector<gpu::RowTile> tiles;
};

Grouped group(emulator::Vendor vendor, const std::vector<int32_t>& expert, int experts,
              int tile_rows) {
  const int slots = expert.size();
  Grouped out{{std::vector<int32_t>(slots, -7), std::vector<int32_t>(slots, -7),
               std::vector<int32_t>(experts + 1, -7)},
              std::vector<gpu::RowTile>(slots / tile_rows + std::min(slots, experts))};
  int32_t tile_count = -7;
  emulator::run(vendor, {1},
                gpu::GroupRows{expert.data(), out.groups.order.data(), out.groups.place.data(),
                               out.groups.begin.data(), out.tiles.data(), &tile_count, slots,
                               experts, tile_rows});
  EXPECT_LE(tile_count, slots / tile_rows + std::min(slots, experts));
  out.tiles.resize(tile_count);
  return out;
}

Groups reference(const std::vector<int32_t>& expert, int experts) {
  Groups out{std::vector<int32_t>(expert.size()), std::vector<int32_t>(expert.size()),
             std::vector<int32_t>(experts + 1)};
  const int64_t slots = expert.size();
  cpu::group_by_expert(expert.data(), experts,
                       {slots, out.order.data(), out.place.data(), out.begin.data()});
  return out;
}

// The tiles cover each expert's places once, in order, and only an expert's last may be short.
void expect_tiles(const Grouped& out, int experts, int tile_rows) {
  size_t next = 0;
  for (int e = 0; e < experts; ++e)
    for (int first = out.groups.begin[e]; first < out.groups.begin[e + 1]; first += tile_rows) {
      ASSERT_LT(next, out.tiles.size());
      const gpu::RowTile& tile = out.tiles[next++];
      EXPECT_EQ(tile.expert, e);
      EXPECT_EQ(tile.first, first);
      EXPECT_EQ(tile.count, std::min(tile_rows, out.groups.begin[e + 1] - first));
    }
  EXPECT_EQ(next, out.tiles.size());
}

TEST(GpuGroupRows, IsTheReferenceForAnyShape) {
  std::mt19937 random(1);
  for (const auto vendor : emulator::kWarpSizes)
    for (const int slots : {1, 8, 31, 256, 257, 2056})
      for (const int experts : {1, 9, 128, 256}) {
        std::vector<int32_t> expert(slots);
        for (int32_t& e : expert) e = random() % experts;
        const Grouped out = group(vendor, expert, experts, 16);
        EXPECT_EQ(out.groups, reference(expert, experts)) << slots << " slots, " << experts;
        expect_tiles(out, experts, 16);
      }
}

TEST(GpuGroupRows, TakesTheLongestPass) {
  std::mt19937 random(2);
  std::vector<int32_t> expert(2048 * 8);
  for (int32_t& e : expert) e = random() % 128 * (random() % 128) / 128;  // the first are busy
  for (const auto vendor : emulator::kWarpSizes) {
    const Grouped out = group(vendor, expert, 128, 24);
    EXPECT_EQ(out.groups, reference(expert, 128));
    expect_tiles(out, 128, 24);
  }
}

TEST(GpuGroupRows, TakesOneExpertForAll) {
  const std::vector<int32_t> expert(300, 255);
  for (const auto vendor : emulator::kWarpSizes) {
    const Grouped out = group(vendor, expert, 256, 64);
    EXPECT_EQ(out.groups, reference(expert, 256));
    expect_tiles(out, 256, 64);
  }
}

}  // namespace
}  // namespace potluck
