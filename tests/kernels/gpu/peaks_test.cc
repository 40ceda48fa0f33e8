// The kernels that measure a card do what is counted, and single products are those of matrices.
#include "kernels/gpu/fast/peaks.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "kernels/gpu/fast/mma_products.h"
#include "tests/emulator/emulator.h"
#include "topology/base/dtype.h"

namespace potluck {
namespace {

class Peaks : public testing::TestWithParam<emulator::Vendor> {
 protected:
  gpu::MmaShapeOf shape() const {
    gpu::MmaShapeOf shape{};
    emulator::run(GetParam(), {1}, gpu::MmaShape{&shape});
    return shape;
  }
};

struct alignas(16) Word {
  uint32_t word[4];
};

TEST_P(Peaks, ReadingTakesEachSliceAsOftenAsItsBlocksComeToIt) {
  constexpr int kSlices = 3, kBlocks = 2, kPasses = 4, kStep = 2, kWords = 2 * gpu::kPeakWords;
  std::vector<Word> memory(kSlices * kWords);
  for (size_t i = 0; i < memory.size(); ++i)
    memory[i] = {{uint32_t(i), uint32_t(i * 7), uint32_t(i * 31), uint32_t(i / 3)}};
  std::vector<uint32_t> out(kBlocks * gpu::kPeakThreads);
  emulator::run(GetParam(), {kBlocks},
                gpu::PeakRead{reinterpret_cast<const uint8_t*>(memory.data()), kWords, kSlices,
                              kStep, kPasses, out.data()});
  for (int b = 0; b < kBlocks; ++b)
    for (int t = 0; t < gpu::kPeakThreads; ++t) {
      uint32_t expected = 0;
      for (int pass = 0; pass < kPasses; ++pass)
        for (int part = 0; part < kWords / gpu::kPeakThreads; ++part) {
          const int slice = (b + pass * kStep) % kSlices;
          for (const uint32_t w : memory[slice * kWords + part * gpu::kPeakThreads + t].word)
            expected ^= w;
        }
      ASSERT_EQ(out[b * gpu::kPeakThreads + t], expected) << b << ", " << t;
    }
}

TEST_P(Peaks, CopyingCopiesAllWords) {
  std::vector<Word> from(3 * gpu::kPeakWords), to(from.size());
  for (size_t i = 0; i < from.size(); ++i) from[i].word[i % 4] = static_cast<uint32_t>(i);
  emulator::run(GetParam(), {3},
                gpu::PeakCopy{reinterpret_cast<const uint8_t*>(from.data()),
                              reinterpret_cast<uint8_t*>(to.data())});
  for (size_t i = 0; i < from.size(); ++i)
    for (int w = 0; w < 4; ++w) ASSERT_EQ(to[i].word[w], from[i].word[w]) << i;
}

// A warp has eight products of its own in each round; without matrix units each lane has eight
// sums, to which it adds a product in f16 or four in int8.
TEST_P(Peaks, ProductsAreCounted) {
  constexpr int kRounds = 3, kWarps = gpu::kPeakThreads / 32;
  std::vector<float> sums(gpu::kPeakThreads);
  std::vector<int32_t> wholes(gpu::kPeakThreads);
  int64_t f16 = 0, s8 = 0;
  emulator::run(GetParam(), {1}, gpu::PeakF16{sums.data(), &f16, kRounds});
  emulator::run(GetParam(), {1}, gpu::PeakS8{wholes.data(), &s8, kRounds});
  const gpu::MmaShapeOf s = shape();
  const bool units = has_matrix_units(GetParam());
  EXPECT_EQ(f16, int64_t{2} * (units ? 16 * s.columns * s.f16_depth : 32) * 8 * kWarps * kRounds);
  EXPECT_EQ(s8, int64_t{2} * (units ? 16 * s.columns * s.s8_depth : 4 * 32) * 8 * kWarps * kRounds);
  EXPECT_GT(sums[0], 0);
  EXPECT_NE(wholes[0], 0);
}

// All words of lane l are 0x3c003800 + l % 16 in f16 and 0x01020304 + l % 16 in int8. Eight words
// make the depth, or four where lanes mirror each other in int8; the lane that holds one follows
// from the layouts of PTX and of RDNA3 (tests/emulator/mma.cc).
template <typename Value>
Value dot_of_lanes(bool mirrors, int row, int column, int words, Value (*dot)(int, int)) {
  Value sum = 0;
  for (int w = 0; w < words; ++w)
    sum += mirrors ? dot(row, column) : dot((row % 8 * 4 + w % 4) % 16, (column * 4 + w % 4) % 16);
  return sum;
}

double dot_f16(int a, int b) {
  const auto low = [](int lane) { return f32_from_f16(static_cast<uint16_t>(0x3800 + lane)); };
  return static_cast<double>(low(a)) * low(b) + 1;
}

int dot_s8(int a, int b) {
  return (4 + a) * (4 + b) + 3 * 3 + 2 * 2 + 1;
}

// Eight products at once, whose sums begin with 0, 1, 2, ….
TEST_P(Peaks, SumsOfMatrixUnitsAreThoseOfTheProducts) {
  if (!has_matrix_units(GetParam())) return;
  constexpr int kRounds = 3, kBlocks = 2;
  const bool mirrors = GetParam() == emulator::Vendor::rdna;
  std::vector<float> sums(kBlocks * gpu::kPeakThreads);
  std::vector<int32_t> wholes(kBlocks * gpu::kPeakThreads);
  int64_t f16 = 0, s8 = 0;
  emulator::run(GetParam(), {kBlocks}, gpu::PeakF16{sums.data(), &f16, kRounds});
  emulator::run(GetParam(), {kBlocks}, gpu::PeakS8{wholes.data(), &s8, kRounds});
  const int of_lane = mirrors ? 8 : 4;
  for (int t = 0; t < kBlocks * gpu::kPeakThreads; ++t) {
    const int lane = t % 32, start = 8 * of_lane * (8 * of_lane - 1) / 2;
    double half = start;
    int whole = start;
    for (int i = 0; i < of_lane; ++i) {
      const int row = mirrors ? 2 * i + lane / 16 : lane / 4 + i / 2 * 8;
      const int column = mirrors ? lane % 16 : lane % 4 * 2 + i % 2;
      half += 8 * kRounds * dot_of_lanes(mirrors, row, column, 8, dot_f16);
      whole += 8 * kRounds * dot_of_lanes(mirrors, row, column, mirrors ? 4 : 8, dot_s8);
    }
    ASSERT_NEAR(sums[t], half, half * 0x1p-20) << t;
    ASSERT_EQ(wholes[t], whole) << t;
  }
}

// Sums that begin with 0, 1, …, 7 and take part in what is added to them.
TEST_P(Peaks, SumsOfLanesAreThoseOfTheProducts) {
  if (has_matrix_units(GetParam())) return;
  constexpr int kRounds = 3, kBlocks = 2;
  std::vector<float> sums(kBlocks * gpu::kPeakThreads);
  std::vector<int32_t> wholes(kBlocks * gpu::kPeakThreads);
  int64_t f16 = 0, s8 = 0;
  emulator::run(GetParam(), {kBlocks}, gpu::PeakF16{sums.data(), &f16, kRounds});
  emulator::run(GetParam(), {kBlocks}, gpu::PeakS8{wholes.data(), &s8, kRounds});
  for (int t = 0; t < kBlocks * gpu::kPeakThreads; ++t) {
    const double x = f32_from_f16(static_cast<uint16_t>(0x3800 + t % 16));
    const int bytes[] = {4 + t % 16, 3, 2, 1};
    double half = 0;
    int whole = 0;
    for (int s = 0; s < 8; ++s) {
      double sum = s;
      int small = s;
      for (int round = 0; round < kRounds; ++round) {
        sum = sum * x + x;
        const int before = small;
        for (int i = 0; i < 4; ++i) small += bytes[i] * static_cast<int8_t>(before >> (8 * i));
      }
      half += sum;
      whole += small;
    }
    ASSERT_NEAR(sums[t], half, half * 0x1p-20) << t;
    ASSERT_EQ(wholes[t], whole) << t;
  }
}

template <typename Sum>
std::vector<Sum> products_of(const std::vector<int>& a, const std::vector<int>& b, int depth,
                             int columns) {
  const size_t count = a.size() / (16 * depth);
  std::vector<Sum> c;
  for (size_t p = 0; p < count; ++p)
    for (int i = 0; i < 16 * columns; ++i) {
      int sum = 0;
      for (int k = 0; k < depth; ++k)
        sum += a[(p * 16 + i / columns) * depth + k] * b[(p * depth + k) * columns + i % columns];
      c.push_back(static_cast<Sum>(sum));
    }
  return c;
}

std::vector<int> wholes(size_t count, int factor) {
  std::vector<int> values;
  for (size_t i = 0; i < count; ++i) values.push_back(static_cast<int>(i * factor % 31) - 15);
  return values;
}

TEST_P(Peaks, SingleProductsAreThoseOfMatrices) {
  const gpu::MmaShapeOf s = shape();
  EXPECT_EQ(s.has_mma, has_matrix_units(GetParam()));
  constexpr int kProducts = 4;
  {
    const auto a = wholes(kProducts * 16 * s.f16_depth, 7);
    const auto b = wholes(kProducts * s.columns * s.f16_depth, 11);
    std::vector<uint16_t> half_a, half_b;
    for (int v : a) half_a.push_back(f16_from_f32(static_cast<float>(v)));
    for (int v : b) half_b.push_back(f16_from_f32(static_cast<float>(v)));
    std::vector<float> c(kProducts * 16 * s.columns);
    emulator::run(GetParam(), {kProducts / gpu::kMmaProductsOfBlock},
                  gpu::MmaF16Products{half_a.data(), half_b.data(), c.data()});
    EXPECT_EQ(c, (products_of<float>(a, b, s.f16_depth, s.columns)));
  }
  const auto a = wholes(kProducts * 16 * s.s8_depth, 7);
  const auto b = wholes(kProducts * s.columns * s.s8_depth, 11);
  const std::vector<int8_t> small_a(a.begin(), a.end()), small_b(b.begin(), b.end());
  std::vector<int32_t> c(kProducts * 16 * s.columns);
  emulator::run(GetParam(), {kProducts / gpu::kMmaProductsOfBlock},
                gpu::MmaS8Products{small_a.data(), small_b.data(), c.data()});
  EXPECT_EQ(c, (products_of<int32_t>(a, b, s.s8_depth, s.columns)));
}

// PTX: word m of a lane holds two neighbours of row lane / 4 of matrix m, or of that column where
// matrices are transposed.
TEST(MatrixLoads, BringEachLaneItsWordsOfFourMatrices) {
  std::vector<uint32_t> words(2 * 32 * 4);
  emulator::run(emulator::Vendor::cuda, {1}, gpu::MatrixLoads{words.data()});
  for (uint32_t i = 0; i < words.size(); ++i)
    for (uint32_t half = 0; half < 2; ++half) {
      const bool transposed = i >= 128;
      const uint32_t matrix = i % 4, row = i / 4 % 32 / 4, column = i / 4 % 4 * 2 + half;
      EXPECT_EQ(words[i] >> 16 * half & 0xffff,
                matrix * 64 + (transposed ? column * 8 + row : row * 8 + column))
          << i;
    }
}

TEST_P(Peaks, CopiesToSharedMemoryBringWordsOrZeros) {
  constexpr int kThreads = gpu::kSharedCopyThreads, kBytes = gpu::kCopyGroups * kThreads * 16;
  alignas(16) std::array<uint8_t, kBytes> from, to;
  to.fill(0xee);
  for (int i = 0; i < kBytes; ++i) from[i] = static_cast<uint8_t>(1 + i % 251);
  emulator::run(GetParam(), {1}, gpu::SharedCopies{from.data(), to.data()});
  for (int i = 0; i < kBytes; ++i)
    EXPECT_EQ(to[i], gpu::is_copied(i / 16 / kThreads, i / 16 % kThreads) ? from[i] : 0) << i;
}

INSTANTIATE_TEST_SUITE_P(Vendors, Peaks, testing::ValuesIn(emulator::kVendors),
                         [](const auto& vendor) { return name_of(vendor.param); });

}  // namespace
}  // namespace potluck
