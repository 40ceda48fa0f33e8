// Findings, what devices could carry, speeds that are known from before, and kinds of interfaces.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cluster/cli/interfaces.h"
#include "cluster/planning/carry.h"
#include "cluster/planning/finding.h"
#include "cluster/planning/speed_cache.h"
#include "cluster/ring/device_rooms.h"
#include "cluster/ring/device_speed.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kGigabyte = 1'000'000'000;

TEST(Finding, ProblemsComeFirstAndEachHasItsFix) {
  const std::vector<Finding> findings = {{Severity::note, "", "a", "do a"},
                                         {Severity::problem, "nas", "b", "do b"}};
  EXPECT_THAT(finding_lines(findings),
              testing::ElementsAre("problem: nas: b", "  fix: do b", "note: a", "  fix: do a"));
  EXPECT_TRUE(has_problem(findings));
  EXPECT_THAT(
      finding_lines({{Severity::note, "a → c", "x", ""}, {Severity::note, "b → c", "x", ""}}),
      testing::ElementsAre("note: a → c, b → c: x"));
  const Finding same = finding_of(finding_json(findings[1]));
  EXPECT_EQ(same.severity, Severity::problem);
  EXPECT_EQ(same.where + same.what + same.fix, "nasbdo b");
}

TEST(Carry, MoreMemoryCarriesMoreLayersAndTheHeadTakesSomeOfThem) {
  const auto model = open_model(kReleasedQ4);
  const auto carried = [&](uint64_t bytes) { return carried_by({"cuda:0", bytes, 0}, *model); };
  EXPECT_EQ(carried(kGigabyte / 4).layers, 0);
  EXPECT_EQ(carried(kGigabyte / 4).layers_beside_head, -1);
  const Carried card = carried(8 * kGigabyte);
  EXPECT_GT(card.layers, 8);
  EXPECT_LT(card.layers, 16);
  EXPECT_LT(card.layers_beside_head, card.layers);
  EXPECT_GT(card.layers_beside_head, 0);
  EXPECT_EQ(carried(64 * kGigabyte).layers_beside_head, 30);
}

TEST(SpeedCache, WhatWasMeasuredIsKnownAgainUnderTheSameKeyAlone) {
  const fs::path folder = fs::temp_directory_path() / ("speeds." + std::to_string(getpid()));
  const SpeedCache cache(folder);
  EXPECT_FALSE(cache.find("cpu | model"));
  DeviceSpeed speed;
  speed.sliding_layer_ms = 2.5;
  speed.head_ms = 9;
  speed.model = "abc";
  cache.keep("cpu | model", speed);
  const auto known = cache.find("cpu | model");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->speed.sliding_layer_ms, 2.5);
  EXPECT_EQ(known->speed.head_ms, 9);
  EXPECT_EQ(known->speed.model, "abc");
  EXPECT_EQ(known->speed.source, Source::measured);
  EXPECT_FALSE(cache.find("cpu | another model"));
  for (const auto& entry : fs::directory_iterator(folder / "doctor"))
    std::ofstream(entry.path()) << "{\"key\": ";
  EXPECT_FALSE(cache.find("cpu | model"));
  fs::remove_all(folder);
}

TEST(DeviceSpeed, LayersAndHeadAreRunAndWhatDoesNotFitIsLeftOut) {
  const auto model = open_model("synthetic:nano");
  const MeasuredSpeed all = measure_speed(*model, cpu_room(), 1);
  EXPECT_EQ(all.problem, "");
  EXPECT_EQ(all.left_out, "");
  EXPECT_GT(all.speed.sliding_layer_ms, 0);
  EXPECT_GT(all.speed.full_layer_ms, 0);
  EXPECT_GT(all.speed.head_ms, 0);
  EXPECT_GT(all.speed.message_ms, 0);
  const MeasuredSpeed none = measure_speed(*model, {"cpu", 1000, 0}, 1);
  EXPECT_EQ(none.speed.sliding_layer_ms, 0);
  EXPECT_EQ(none.speed.head_ms, 0);
  EXPECT_THAT(none.left_out, testing::HasSubstr("the head needs"));
  const MeasuredSpeed absent = measure_speed(*model, {"cuda:77", 64 * kGigabyte, 0}, 1);
  EXPECT_NE(absent.problem, "");
}

TEST(Interfaces, KindsAreKnownByNameAndBySysfs) {
  EXPECT_EQ(interface_kind("wlan0", true, ""), "wifi");
  EXPECT_EQ(interface_kind("wg0", false, "DEVTYPE=wireguard\n"), "wireguard");
  EXPECT_EQ(interface_kind("tailscale0", false, ""), "tailscale");
  EXPECT_EQ(interface_kind("docker0", false, "DEVTYPE=bridge\n"), "container");
  EXPECT_EQ(interface_kind("enp3s0", false, "INTERFACE=enp3s0\n"), "ethernet");
}

}  // namespace
}  // namespace potluck
