// Flags that name cards leave the cut to their memory, and those that contradict it are refused.
#include "cluster/ring/ring_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/ring/device_rooms.h"
#include "topology/base/fault.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

using testing::HasSubstr;

RingFlags with_devices(std::vector<std::string> devices, std::optional<int> card_layers = {}) {
  RingFlags flags;
  flags.options.devices = std::move(devices);
  flags.options.card_layers = card_layers;
  return flags;
}

std::string refusal_of_flags(const RingFlags& flags) {
  try {
    check_ring_flags(flags);
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
    return fault.text();
  }
  return "";
}

TEST(RingFlags, ACutByMemoryIsRefusedBesideACutByNumbers) {
  for (RingFlags flags : {with_devices({"auto"}), with_devices({"cuda:0", "cpu"}, 3)}) {
    EXPECT_EQ(refusal_of_flags(flags), "");
    RingFlags counted = flags, split = flags, ranks = flags, file = flags;
    counted.stages_given = true;
    counted.options.stages = flags.options.devices.size();
    EXPECT_THAT(refusal_of_flags(counted), HasSubstr("leave out --stages and --split"));
    split.options.split.assign(flags.options.devices.size(), 2);
    EXPECT_THAT(refusal_of_flags(split), HasSubstr("leave out --stages and --split"));
    ranks.transport = "mpi";
    EXPECT_THAT(refusal_of_flags(ranks), HasSubstr("with --transport mpi use --split"));
    file.plan = "x.yaml";
    EXPECT_THAT(refusal_of_flags(file), HasSubstr("leave out --device and --gpu-layers"));
  }
}

TEST(RingFlags, DevicesThatMeanNothingTogetherAreRefused) {
  EXPECT_THAT(refusal_of_flags(with_devices({"auto", "cpu"})), HasSubstr("name it alone"));
  EXPECT_THAT(refusal_of_flags(with_devices({"cuda:0", "cpu", "cuda:0"})),
              HasSubstr("a device twice"));
  EXPECT_THAT(refusal_of_flags(with_devices({"cpu"}, 3)), HasSubstr("needs a card in --device"));
  EXPECT_EQ(refusal_of_flags(with_devices({}, 3)), "");
  EXPECT_EQ(refusal_of_flags(with_devices({"cpu", "cpu"})), "");
  RingFlags split = with_devices({"cuda:0", "cuda:0"});
  split.options.split = {2, 3};
  EXPECT_EQ(refusal_of_flags(split), "");
}

TEST(RingFlags, ANumberOfStagesThatIsNotTheSplitsIsRefused) {
  RingFlags flags;
  flags.options.split = {2, 3};
  EXPECT_EQ(refusal_of_flags(flags), "");
  flags.stages_given = true;
  for (const int stages : {1, 3}) {
    flags.options.stages = stages;
    EXPECT_EQ(refusal_of_flags(flags), "--stages " + std::to_string(stages) +
                                           " contradicts --split 2,3; leave one of them out");
  }
  flags.options.stages = 2;
  EXPECT_EQ(refusal_of_flags(flags), "");
  flags = {};
  flags.stages_given = true;
  flags.plan = "x.yaml";
  EXPECT_THAT(refusal_of_flags(flags), HasSubstr("leave out --stages and --split"));
}

Card card(const std::string& device, uint64_t bytes, const std::string& problem = "") {
  GpuFacts facts;
  facts.bytes_total = bytes;
  facts.bytes_free = bytes / 2;
  return {device, facts, problem};
}

TEST(DeviceRooms, AutoTakesTheLargestUsableCardsFirstAndTheCpuLast) {
  const FoundRooms found = find_rooms({card("cuda:0", 8 * kCardHeadroom),
                                       card("cuda:1", 90 * kCardHeadroom, "too old"),
                                       card("hip:0", 16 * kCardHeadroom),
                                       {"hip", {}, "no rights"}});
  ASSERT_EQ(found.rooms.size(), 3u);
  EXPECT_EQ(found.rooms[0].device, "hip:0");
  EXPECT_EQ(found.rooms[0].bytes(), 7 * kCardHeadroom);
  EXPECT_EQ(found.rooms[1].device, "cuda:0");
  EXPECT_EQ(found.rooms[2].device, "cpu");
  EXPECT_GT(found.rooms[2].bytes(), 0u);
  EXPECT_THAT(found.why_not, testing::ElementsAre("cuda:1: too old", "hip: no rights"));
}

TEST(DeviceRooms, ACardThatDrivesADisplayKeepsMoreForIt) {
  GpuFacts facts;
  facts.bytes_free = kCardHeadroom + kDisplayHeadroom + 5;
  EXPECT_EQ(room_of("cuda:0", facts).bytes(), kDisplayHeadroom + 5);
  facts.has_watchdog = true;
  EXPECT_EQ(room_of("cuda:0", facts).bytes(), 5u);
  facts.bytes_free = kDisplayHeadroom;
  EXPECT_EQ(room_of("cuda:0", facts).bytes(), 0u);
}

TEST(DeviceRooms, APlanByMemoryNamesADeviceForEachPart) {
  const auto source =
      open_model("synthetic:nano?layers=4&hidden=64&vocab=512&canvas=16&seed=3", {});
  RingOptions options;
  options.ctx_size = 64;
  options.rooms = {{"cuda:0", uint64_t{1} << 40, 0}, {"cpu", uint64_t{1} << 40, 0}};
  options.card_layers = 3;
  const Plan plan = make_plan(*source, options);
  ASSERT_EQ(plan.stage_count(), 2);
  EXPECT_EQ(plan.head.device, "cuda:0");
  EXPECT_EQ(plan.stages[0].device, "cuda:0");
  EXPECT_EQ(plan.stages[0].layers, (LayerRange{0, 3}));
  EXPECT_EQ(plan.stages[1].device, "cpu");
  options.card_layers = 0;
  const Plan none = make_plan(*source, options);
  ASSERT_EQ(none.stage_count(), 1);
  EXPECT_EQ(none.head.device, "cuda:0");
  EXPECT_EQ(none.stages[0].device, "cpu");
}

}  // namespace
}  // namespace potluck
