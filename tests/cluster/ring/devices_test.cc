// How devices are written, for people and as JSON.
#include "cluster/ring/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace potluck {
namespace {

constexpr uint64_t kGB = 1000000000;

Devices some_devices() {
  GpuFacts facts;
  facts.name = "NVIDIA GeForce\nRTX 3060";
  facts.architecture = "sm_86";
  facts.driver = "CUDA 12.2";
  facts.bytes_total = 12 * kGB;
  facts.bytes_free = 11 * kGB;
  Devices devices{{"cpu (Xeon, 2 threads, amx)", 2, 16 * kGB, 9 * kGB}, "amx", {}};
  devices.cards.push_back({"cuda:0", facts, ""});
  facts.architecture = "sm_52";
  facts.has_watchdog = true;
  devices.cards.push_back({"cuda:1", facts, "there is no code for sm_52"});
  devices.cards.push_back({"hip", {}, "no rights"});
  return devices;
}

TEST(Devices, HaveALineEach) {
  EXPECT_THAT(
      device_lines(some_devices()),
      testing::ElementsAre(
          "cpu (Xeon, 2 threads, amx), 9.00 GB of 16.0 GB free",
          "cuda:0 (NVIDIA GeForce?RTX 3060, sm_86, CUDA 12.2), 11.0 GB of 12.0 GB free",
          "cuda:1 (NVIDIA GeForce?RTX 3060, sm_52, CUDA 12.2), 11.0 GB of 12.0 GB free, drives "
          "a display: there is no code for sm_52",
          "hip: no rights"));
}

TEST(Devices, AreTheSameAsJson) {
  const nlohmann::json all = devices_json(some_devices())["devices"];
  ASSERT_EQ(all.size(), 4);
  EXPECT_EQ(all[0]["device"], "cpu");
  EXPECT_EQ(all[0]["instructions"], "amx");
  EXPECT_EQ(all[1]["usable"], true);
  EXPECT_EQ(all[1]["bytes_free"], 11 * kGB);
  EXPECT_EQ(all[2]["usable"], false);
  EXPECT_EQ(all[2]["architecture"], "sm_52");
  EXPECT_EQ(all[3]["problem"], "no rights");
  EXPECT_FALSE(all[3].contains("name"));
}

}  // namespace
}  // namespace potluck
