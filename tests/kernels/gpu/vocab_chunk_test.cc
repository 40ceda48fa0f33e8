// Each kernel of vocabulary attention alone on the emulator: chunks of many tiles, more rows and
// columns than a block takes, and spans that some rows use.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

using Floats = std::vector<float>;

constexpr int kSpans = gpu::kVocabTile / gpu::kVocabSpan;  // of a tile
constexpr int kMany = gpu::kVocabChunkMost - 179;          // ids: the most tiles, the last short

TEST(GpuVocabFold, FoldsChunksOfManyTiles) {
  constexpr gpu::VocabChunk kFirst{0, 2816}, kSecond{2816, 300};
  Floats z = random_values(kFirst.ids, 1, 4), rest = random_values(kSecond.ids, 2, 4);
  rest[270] = 5;  // more than all before
  double mass = 0, moment = 0, before = 0;
  const float most = *std::max_element(z.begin(), z.end());
  for (const Floats& part : {z, rest})
    for (const float x : part) {
      mass += std::exp(static_cast<double>(x) - 5);
      moment += (static_cast<double>(x) - 5) * std::exp(static_cast<double>(x) - 5);
    }
  for (const float x : z) before += std::exp(static_cast<double>(x) - most);
  for (const auto vendor : emulator::kWarpSizes) {
    Floats weights = z, more = rest;
    gpu::VocabPartial partial;
    float keep;
    std::vector<uint8_t> used(kFirst.tiles() + 1, 0x77);
    emulator::run(vendor, {},
                  gpu::VocabFold{nullptr, weights.data(), &partial, &keep, used.data(), kFirst, 0});
    EXPECT_EQ(partial.max, most);
    EXPECT_EQ(z[partial.argmax], most);
    // Exponents of 9 at most round by 2⁻²¹, exp by 2 ulp, and sums once a term.
    EXPECT_NEAR(partial.mass, before, before * (2816 + 12) * 0x1p-23);
    for (int i = 0; i < kFirst.ids; ++i)
      ASSERT_NEAR(weights[i], std::exp(z[i] - most), std::exp(z[i] - most) * 24 * 0x1p-23) << i;
    EXPECT_EQ(used.back(), 0x77);
    used.pop_back();
    EXPECT_EQ(used, std::vector<uint8_t>(kFirst.tiles(), 0xff));
    emulator::run(vendor, {},
                  gpu::VocabFold{nullptr, more.data(), &partial, &keep, used.data(), kSecond, 0});
    EXPECT_EQ(partial.argmax, 2816 + 270);
    EXPECT_NEAR(keep, std::exp(most - 5), 4 * 0x1p-23);
    EXPECT_NEAR(partial.mass, mass, mass * 3200 * 0x1p-23);
    EXPECT_NEAR(partial.moment, moment, std::fabs(moment) * 3200 * 0x1p-23);
  }
}

// One id weighs all of the first tile, and one of the next tile a little more.
TEST(GpuVocabFold, MergesATileWhoseMassIsOne) {
  constexpr gpu::VocabChunk kChunk{0, 512};
  StepParams params{.segment_count = 1, .rows = 1};
  params.segments[0] = {.mode = Mode::denoise, .rows = 1};
  const double share = std::exp(-0.5), mass = 1 + share;
  for (const auto vendor : emulator::kWarpSizes) {
    Floats z(kChunk.ids, -200);
    z[5] = 20;
    z[300] = 20.5;
    gpu::VocabPartial partial;
    float keep;
    std::vector<uint8_t> used(2);
    emulator::run(vendor, {},
                  gpu::VocabFold{&params, z.data(), &partial, &keep, used.data(), kChunk, 0});
    EXPECT_EQ(partial.argmax, 300);
    EXPECT_TRUE(partial.sample == 5 || partial.sample == 300) << partial.sample;
    EXPECT_NEAR(partial.mass, mass, mass * 0x1p-21);
    EXPECT_NEAR(partial.moment, -0.5 * share, 0x1p-21);
    EXPECT_EQ(used, (std::vector<uint8_t>{1, 2}));
  }
}

TEST(GpuVocabCount, AddsTheIdsOfSpansThatAnyRowUses) {
  constexpr int kRows = 3;
  constexpr gpu::VocabChunk kFirst{0, kMany}, kNext{gpu::kVocabChunkMost, kMany};
  const int tiles = kFirst.tiles();
  // Every row uses other spans; past the last row all are set.
  std::vector<uint8_t> used(kRows * tiles);
  int expected = 0;
  for (int first = 0; first < kMany; first += gpu::kVocabSpan) {
    const int span = first / gpu::kVocabSpan;
    if (span % 3 == 0) continue;
    used[span % kRows * tiles + span / kSpans] |= 1 << span % kSpans;
    expected += std::min(kMany - first, gpu::kVocabSpan);
  }
  used.resize((kRows + 1) * tiles, 0xff);
  for (const auto vendor : emulator::kWarpSizes) {
    int32_t sum = -7;
    emulator::run(vendor, {}, gpu::VocabCount{used.data(), &sum, kFirst, kRows});
    EXPECT_EQ(sum, expected);
    emulator::run(vendor, {}, gpu::VocabCount{used.data(), &sum, kNext, kRows});
    EXPECT_EQ(sum, 2 * expected);
  }
}

// A sum of weights by a table in f32.
struct Sum {
  gpu::VocabChunk chunk;
  int rows;
  int64_t columns;
  Floats table = random_values((chunk.first_id + chunk.ids) * columns, 1);
  Floats weights = Floats(int64_t{rows} * chunk.ids);
  Floats keep = random_values(rows, 2), soft = random_values(rows * columns, 3);
  std::vector<uint8_t> used = std::vector<uint8_t>(rows * chunk.tiles());

  void set(int row, int id, float weight) {
    weights[int64_t{row} * chunk.ids + id] = weight;
    used[row * chunk.tiles() + id / gpu::kVocabTile] |= 1 << id % gpu::kVocabTile / gpu::kVocabSpan;
  }

  Floats run(emulator::Vendor vendor, bool f16) const {
    Floats out = chunk.first_id > 0 ? soft : Floats(soft.size(), NAN);
    const gpu::Weights stored{reinterpret_cast<const uint8_t*>(table.data()),
                              chunk.first_id + chunk.ids, columns, columns * 4, gpu::Stored::f32};
    const gpu::VocabSum sum{weights.data(), keep.data(), used.data(), stored,
                            out.data(),     chunk,       rows};
    const auto blocks = [](int64_t n, int size) { return static_cast<int>((n + size - 1) / size); };
    if (f16)
      emulator::run(
          vendor, {blocks(columns, gpu::kVocabSumF16Columns), blocks(rows, gpu::kVocabSumF16Rows)},
          gpu::VocabSumF16{sum});
    else
      emulator::run(
          vendor, {blocks(columns, gpu::kVocabSumColumns), blocks(rows, gpu::kVocabSumRows)}, sum);
    return out;
  }

  // Each of n terms rounds once, or in f16 its factors by 2⁻¹¹ each.
  void expect_sums(bool f16) const {
    for (const auto vendor : emulator::kVendors) {
      const Floats out = run(vendor, f16);
      for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
        const int64_t row = i / columns;
        double sum = chunk.first_id > 0 ? static_cast<double>(soft[i]) * keep[row] : 0.0;
        double size = std::fabs(sum), terms = 0;
        for (int64_t id = 0; id < chunk.ids; ++id) {
          const float weight = weights[row * chunk.ids + id];
          if (weight == 0) continue;
          const double term = weight * table[(chunk.first_id + id) * columns + i % columns];
          sum += term;
          size += std::fabs(term);
          ++terms;
        }
        ASSERT_NEAR(out[i], sum, size * ((terms + 3) * 0x1p-22 + (f16 ? 0x1.01p-10 : 0)))
            << "row " << row << " column " << i % columns;
      }
    }
  }
};

class GpuVocabSum : public testing::TestWithParam<bool> {};

// Blocks of rows use spans of their own, which others skip.
TEST_P(GpuVocabSum, TakesMoreRowsAndColumnsThanABlock) {
  for (const int64_t first_id : {0, 512}) {
    Sum sum{{first_id, 3 * gpu::kVocabTile + 70}, 150, 136};
    const Floats weights = random_values(150 * 4, 4);
    for (int row = 0; row < 150; ++row)
      for (int i = 0; i < 4; ++i)
        sum.set(row, row / 16 * 83 + (row % 16 + i * 7) % 83, std::fabs(weights[row * 4 + i]));
    sum.set(128, 3 * gpu::kVocabTile + 69, 0.5f);  // a span that it alone uses
    sum.expect_sums(GetParam());
  }
}

TEST_P(GpuVocabSum, TakesChunksOfManyTiles) {
  Sum sum{{0, kMany}, 2, 8};
  sum.set(0, 3, 0.5f);
  sum.set(0, 35 * gpu::kVocabTile + 77, 0.25f);
  sum.set(1, 62 * gpu::kVocabTile + 255, 0.75f);
  sum.set(1, kMany - 1, 1);
  sum.expect_sums(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Kernels, GpuVocabSum, testing::Bool(),
                         [](const auto& f16) { return f16.param ? "F16" : "Exact"; });

// A row of a weight and of nothing else is that row of the table, by its weight; either is rounded.
TEST(GpuVocabSumF16, RoundsToTheNearest) {
  Sum sum{{0, 40}, 40, 70};
  const Floats weights = random_values(40, 5);
  for (int row = 0; row < 40; ++row) {
    sum.set(row, row, row < 20 ? 1 : std::fabs(weights[row]));
    if (row >= 20) std::fill_n(sum.table.begin() + row * 70, 70, 1.0f);
  }
  for (const auto vendor : {emulator::Vendor::cuda, emulator::Vendor::rdna}) {
    const Floats out = sum.run(vendor, true);
    for (int i = 0; i < 40 * 70; ++i) {
      const int row = i / 70;
      const float expected = row < 20 ? sum.table[i] : std::fabs(weights[row]);
      ASSERT_EQ(out[i], std::ldexp(f32_from_f16(f16_from_f32(std::ldexp(expected, 14))), -14))
          << row;
    }
  }
}

TEST(GpuVocabFinish, FinishesLongRows) {
  constexpr int64_t kHidden = 300;
  const gpu::VocabPartial partial[] = {{.mass = 4, .moment = -2, .argmax = 17, .sample = 19},
                                       {.mass = 1, .moment = 0.001f, .argmax = 3, .sample = 3}};
  const Floats soft = random_values(2 * kHidden, 6);
  for (const auto vendor : emulator::kWarpSizes) {
    Floats out = soft;
    gpu::VocabCandidate candidates[2] = {};
    emulator::run(vendor, {2}, gpu::VocabFinish{partial, candidates, out.data(), kHidden, 53});
    for (int i = 0; i < 2 * kHidden; ++i)
      ASSERT_EQ(out[i], soft[i] / partial[i / kHidden].mass * 53) << i;
    EXPECT_EQ(candidates[0].argmax, 17);
    EXPECT_EQ(candidates[0].sample, 19);
    EXPECT_NEAR(candidates[0].entropy, std::log(4) + 0.5, 0x1p-22);
    EXPECT_EQ(candidates[1].entropy, 0);
  }
}

}  // namespace
}  // namespace potluck
