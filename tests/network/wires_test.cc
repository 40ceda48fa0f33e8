// Wires by arithmetic: a packet's arrival is what rate, latency and queues make it.
#include "tests/network/wires.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;

TEST(Wires, AnIdealWireTakesNoTime) {
  Wires wires(2, 1);
  EXPECT_EQ(wires.arrival(5, 0, 1, kMebibyte), 5);
}

TEST(Wires, PacketsWaitForThoseBeforeThem) {
  Wires wires(2, 1);
  wires.set(0, 1, {.mbit_per_s = 8, .latency_ms = 30});  // a megabyte a second
  EXPECT_NEAR(*wires.arrival(0, 0, 1, 100'000), 0.13, 1e-9);
  EXPECT_NEAR(*wires.arrival(0, 0, 1, 50'000), 0.18, 1e-9);
  EXPECT_NEAR(*wires.arrival(1, 0, 1, 50'000), 1.08, 1e-9);  // the wire was free again
  EXPECT_EQ(wires.arrival(0, 1, 0, 100'000), 0);             // the other way is another wire
}

TEST(Wires, WiresOfAHostShareItsCardInEachDirection) {
  Wires wires(3, 1);
  wires.set_card(0, 8);
  EXPECT_NEAR(*wires.arrival(0, 0, 1, 100'000), 0.1, 1e-9);
  EXPECT_NEAR(*wires.arrival(0, 0, 2, 100'000), 0.2, 1e-9);  // behind what goes to host 1
  EXPECT_NEAR(*wires.arrival(0, 1, 0, 100'000), 0.1, 1e-9);  // what it takes has its own queue
  EXPECT_NEAR(*wires.arrival(0, 2, 0, 100'000), 0.2, 1e-9);
}

TEST(Wires, AFullQueueLosesPackets) {
  Wires wires(2, 1);
  wires.set(0, 1, {.mbit_per_s = 8});
  int kept = 0;
  for (int i = 0; i < 40; ++i) kept += wires.arrival(0, 0, 1, 100'000).has_value();
  EXPECT_EQ(kept, 11);  // 1 MiB waits, and one more is on its way
  EXPECT_EQ(wires.traffic(0, 1).lost, 29u);
}

TEST(Wires, ACutLosesEverythingUntilItIsJoined) {
  Wires wires(2, 1);
  wires.set(0, 1, {.cut = true});
  EXPECT_FALSE(wires.arrival(0, 0, 1, 1));
  EXPECT_TRUE(wires.arrival(0, 1, 0, 1));
  wires.set(0, 1, {});
  EXPECT_TRUE(wires.arrival(0, 0, 1, 1));
}

TEST(Wires, JitterNeverReordersAndLossIsAShare) {
  Wires wires(2, 7);
  wires.set(0, 1, {.latency_ms = 10, .jitter_ms = 20, .loss = 0.1});
  double last = 0;
  int lost = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double sent = i * 1e-3;
    const auto arrival = wires.arrival(sent, 0, 1, 1500);
    lost += !arrival;
    if (!arrival) continue;
    EXPECT_GE(*arrival, last);
    EXPECT_GE(*arrival, sent + 0.010);
    EXPECT_LE(*arrival, sent + 0.030 + 1e-9);
    last = *arrival;
  }
  EXPECT_NEAR(lost, 1000, 5 * 30);  // five standard deviations
}

TEST(Wires, TheSameSeedLosesTheSamePackets) {
  Wires one(2, 3), two(2, 3);
  for (Wires* wires : {&one, &two}) wires->set(0, 1, {.jitter_ms = 5, .loss = 0.3});
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(one.arrival(i, 0, 1, 100), two.arrival(i, 0, 1, 100));
}

}  // namespace
}  // namespace potluck
