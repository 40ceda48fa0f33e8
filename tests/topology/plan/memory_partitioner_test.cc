// Cards are filled before the CPU gets a layer, and what does not fit is refused with its sizes.
#include "topology/plan/memory_partitioner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "topology/base/text.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kPlenty = uint64_t{1} << 40;
constexpr uint64_t kAlone = 1000;  // headroom

class MemoryPartitionerTest : public testing::Test {
 protected:
  uint64_t head_bytes(const std::string& device) const {
    Plan plan = whole_;
    plan.head.device = device;
    return head_need(*source_, plan).total();
  }
  uint64_t layer_bytes(const std::string& device, LayerRange layers) const {
    Plan plan = whole_;
    plan.stages[0].device = device;
    plan.stages[0].layers = layers;
    return stage_need(*source_, plan, 0).total();
  }
  // A device with room for these layers and not a byte more.
  DeviceRoom room_for(const std::string& device, LayerRange layers, bool head = false) const {
    return {device, layer_bytes(device, layers) + (head ? head_bytes(device) : 0) + kAlone, kAlone};
  }
  MemoryPartitioner with(std::vector<DeviceRoom> devices,
                         std::optional<int> card_layers = {}) const {
    return MemoryPartitioner(std::move(devices), whole_, card_layers);
  }
  std::string refusal(std::vector<DeviceRoom> devices, std::optional<int> card_layers = {}) const {
    try {
      with(std::move(devices), card_layers).layer_counts(*source_);
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::memory);
      return fault.what();
    }
    return "";
  }

  // Layers 4 and 9 are full, all others sliding.
  std::unique_ptr<ModelSource> source_ = open_model("synthetic:nano?layers=10");
  Plan whole_ = plan_local(source_->spec(), {10});
  DeviceRoom cpu_{"cpu", kPlenty, 0};
};

TEST_F(MemoryPartitionerTest, ACardIsFilledAndTheCpuHasTheRest) {
  EXPECT_THAT(with({room_for("cuda:0", {0, 7}, true), cpu_}).layer_counts(*source_),
              ElementsAre(7, 3));
  DeviceRoom short_of_a_byte = room_for("cuda:0", {0, 7}, true);
  --short_of_a_byte.bytes_free;
  EXPECT_THAT(with({short_of_a_byte, cpu_}).layer_counts(*source_), ElementsAre(6, 4));
}

TEST_F(MemoryPartitionerTest, ACardBehindTheCpuIsFilledFromTheLastLayerBack) {
  EXPECT_THAT(with({cpu_, room_for("hip:0", {4, 10})}).layer_counts(*source_), ElementsAre(4, 6));
  const auto both = with({room_for("cuda:0", {0, 2}, true), cpu_, room_for("hip:0", {7, 10})});
  EXPECT_THAT(both.layer_counts(*source_), ElementsAre(2, 5, 3));
}

TEST_F(MemoryPartitionerTest, CardsAreFilledInTheirOrderAndTheLastMayHaveNone) {
  const auto two = with({room_for("cuda:0", {0, 6}, true), room_for("cuda:1", {0, 10}), cpu_});
  EXPECT_THAT(two.layer_counts(*source_), ElementsAre(6, 4, 0));
}

TEST_F(MemoryPartitionerTest, TheHeadIsOnTheFirstDeviceThatHoldsItAndACpuLast) {
  const DeviceRoom small{"cuda:0", head_bytes("cuda:0") + kAlone - 1, kAlone};
  const DeviceRoom large{"cuda:1", kPlenty, kAlone};
  EXPECT_EQ(with({large, cpu_}).head_device(*source_), 0u);
  EXPECT_EQ(with({small, cpu_, large}).head_device(*source_), 2u);
  EXPECT_EQ(with({small, cpu_}).head_device(*source_), 1u);
  EXPECT_EQ(with({cpu_, large}).head_device(*source_), 0u);
}

TEST_F(MemoryPartitionerTest, ANumberOfCardLayersIsKeptToOrRefused) {
  const DeviceRoom card = room_for("cuda:0", {0, 7}, true);
  EXPECT_THAT(with({card, cpu_}, 0).layer_counts(*source_), ElementsAre(0, 10));
  EXPECT_THAT(with({card, cpu_}, 5).layer_counts(*source_), ElementsAre(5, 5));
  EXPECT_THAT(with({card, cpu_}, 7).layer_counts(*source_), ElementsAre(7, 3));
  EXPECT_THAT(refusal({card, cpu_}, 9),
              HasSubstr("2 of 9 layers that are to go to cards do not fit there: cuda:0 has "));
  const DeviceRoom large{"cuda:1", kPlenty, 0};
  EXPECT_THAT(with({large, cpu_}, 99).layer_counts(*source_), ElementsAre(10, 0));
}

TEST_F(MemoryPartitionerTest, ARefusalHasTheArithmeticOfEachDevice) {
  const DeviceRoom card = room_for("cuda:0", {0, 7}, true);
  const std::string alone = refusal({card});
  EXPECT_THAT(alone, HasSubstr("no device has room for layers 7:10: cuda:0 has " +
                               bytes_text(card.bytes_free) +
                               " free less 1.00 KB that is left "
                               "alone, the head needs " +
                               bytes_text(head_bytes("cuda:0"))));
  EXPECT_THAT(alone, HasSubstr(", layers 0:7 need " + bytes_text(layer_bytes("cuda:0", {0, 7})) +
                               " (weights "));
  EXPECT_THAT(alone, HasSubstr("name cpu as well"));
  const DeviceRoom full{"cpu", layer_bytes("cpu", {7, 10}) - 1, 0};
  EXPECT_THAT(refusal({card, full}),
              testing::AllOf(HasSubstr("the CPU has no room for layers 7:10: cuda:0 has "),
                             HasSubstr("; cpu has " + bytes_text(full.bytes_free) +
                                       " free, layers 7:10 need ")));
  EXPECT_THAT(refusal({{"cuda:0", 10, 0}, {"cpu", 20, 0}}),
              testing::AllOf(HasSubstr("the head fits no device: it needs "),
                             HasSubstr("cuda:0 has 10 B free, cpu has 20 B free")));
}

}  // namespace
}  // namespace potluck
