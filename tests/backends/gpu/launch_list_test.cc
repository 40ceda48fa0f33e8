// LaunchList runs a pass one by one the first time and as a graph from then on.
#include "backends/gpu/launch_list.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include "tests/emulator/emulated_driver.h"

namespace potluck {
namespace {

struct Card {
  std::shared_ptr<EmulatedDriver::Books> books = std::make_shared<EmulatedDriver::Books>();
  EmulatedDriver driver{emulator::Vendor::cuda, books};
  GpuStream stream = driver.make_stream();
  float* x = static_cast<float*>(driver.allocate(4 * sizeof(float)));

  ~Card() {
    driver.free(x);
    driver.free_stream(stream);
  }

  uint8_t* bytes(int value) const { return reinterpret_cast<uint8_t*>(x + value); }
  gpu::RmsNorm norm(int64_t n = 4) const { return {x, nullptr, x, n, 0.0f}; }
  void set(std::vector<float> values) { std::copy(values.begin(), values.end(), x); }
};

TEST(LaunchList, TheSecondSamePassIsOneGraph) {
  Card card;
  LaunchList list(card.driver, card.stream, true);
  for (int pass = 0; pass < 3; ++pass) {
    card.set({3, 4, 0, 0});
    list.add(card.norm(), 1);
    list.add(gpu::Copy{card.bytes(0), card.bytes(2), sizeof(float)}, 1);
    list.add(gpu::Fill{reinterpret_cast<uint32_t*>(card.x + 3), 1, 0}, 1);
    list.run();
    card.driver.wait(card.stream);
    EXPECT_FLOAT_EQ(card.x[0], 1.2f) << pass;
    EXPECT_FLOAT_EQ(card.x[2], 1.2f) << pass;
  }
  EXPECT_EQ(card.books->launches, 3u);
  EXPECT_EQ(card.books->graph_launches, 2u);
}

TEST(LaunchList, APassThatDiffersInOneOperandIsAnother) {
  Card card;
  LaunchList list(card.driver, card.stream, true);
  for (const int64_t n : {4, 2, 4}) {
    card.set({3, 4, 3, 4});
    list.add(card.norm(n), 1);
    list.run();
    card.driver.wait(card.stream);
    EXPECT_EQ(card.x[3] == 4.0f, n == 2) << n;
  }
  EXPECT_EQ(card.books->launches, 2u);
  EXPECT_EQ(card.books->graph_launches, 1u);
}

// A struct's padding holds what lay there before.
TEST(LaunchList, APassIsKnownAgainWhateverLiesBetweenItsOperands) {
  Card card;
  LaunchList list(card.driver, card.stream, true);
  for (const int rest : {0x00, 0xff, 0x5a}) {
    gpu::RmsNorm norm;
    static_assert(sizeof(norm) > offsetof(gpu::RmsNorm, eps) + sizeof(norm.eps));
    std::memset(&norm, rest, sizeof(norm));
    norm.x = norm.out = card.x;
    norm.weight = nullptr;
    norm.n = 4;
    norm.eps = 0;
    list.add(norm, 1);
    list.run();
  }
  EXPECT_EQ(card.books->launches, 1u);
  EXPECT_EQ(card.books->graph_launches, 2u);
}

TEST(LaunchList, KeepsSomePassesAndFreesTheirGraphs) {
  Card card;
  const size_t handles = card.books->handles;
  {
    LaunchList list(card.driver, card.stream, true);
    for (int pass = 0; pass < 300; ++pass)
      for (int time = 0; time < 2; ++time) {
        list.add(card.norm(1 + pass), 1);
        list.run();
      }
    EXPECT_EQ(card.books->graph_launches, 300u);
    EXPECT_GT(card.books->handles, handles);
    EXPECT_LT(card.books->handles, handles + 150);
  }
  EXPECT_EQ(card.books->handles, handles);
}

TEST(LaunchList, WithoutGraphsEveryPassRunsOneByOne) {
  Card card;
  LaunchList list(card.driver, card.stream, false);
  for (int pass = 0; pass < 3; ++pass) {
    list.add(card.norm(), 1);
    list.run();
  }
  EXPECT_EQ(card.books->launches, 3u);
  EXPECT_EQ(card.books->graph_launches, 0u);
}

}  // namespace
}  // namespace potluck
