// The report of a run is checked on made-up steps, as text and as JSON.
#include "cluster/run/run_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cluster/run/run_flags.h"

namespace potluck {
namespace {

Plan two_stages() {
  Plan plan;
  plan.head.name = "head";
  plan.stages.resize(2);
  plan.stages[0].name = "stage 0";
  plan.stages[1].name = "stage 1";
  return plan;
}

// 300 tokens in two canvases of 256, 7 and 9 steps of 100 ms, 2 s in all.
RequestResult some_result() {
  RequestResult r;
  r.ids.assign(300, 7);
  r.steps = {7, 9};
  r.step_ms.assign(16, 100);
  r.total_seconds = 2;
  r.stopped_by_end_id = true;
  const uint64_t hop = 256 * 2816 * 2;
  r.last_hops = {{.peer = kHeadPeer, .payload_bytes = 1024},
                 {.peer = stage_peer(0), .payload_bytes = hop},
                 {.peer = stage_peer(1), .payload_bytes = hop},
                 {.peer = kHeadPeer, .payload_bytes = hop},
                 {.peer = kCoordinatorPeer, .payload_bytes = 3072}};
  return r;
}

TEST(RunReport, SaysWhatHappenedThenTheSteadyRateWithItsKAndT) {
  const std::vector<std::string> lines = report_lines(some_result(), two_stages(), 256, 512);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "300 tokens in 2.00 s: 150.0 tokens/s");
  // 256 / (9 · 0.1 s)
  EXPECT_EQ(lines[1],
            "2 canvases of 256, steps K = 7, 9, 100.0 ms a step (median); steady rate "
            "256/((K+1)·t) = 284.4 tokens/s at K = 8.0, t = 100.0 ms");
  EXPECT_EQ(lines[2],
            "bytes a step: coordinator → head 1.02 KB, head → stage 0 1.44 MB, stage 0 → stage 1 "
            "1.44 MB, stage 1 → head 1.44 MB, head → coordinator 3.07 KB");
}

TEST(RunReport, AnEmptyAnswerSaysWhy) {
  RequestResult r = some_result();
  EXPECT_EQ(empty_line(r, {"hm", "yes"}), "");
  EXPECT_EQ(empty_line(r, {"hm", " \n\u3000"}), "the answer is empty: the model has only thought");
  EXPECT_EQ(empty_line(r, {"", ""}), "the answer is empty: none of its 300 tokens is text");
  r.ids = {106};
  EXPECT_EQ(empty_line(r, {"", ""}), "the answer is empty: the model ended it at once");
}

TEST(RunReport, ACutAnswerSaysWhy) {
  RequestResult cut = some_result();
  cut.stopped_by_end_id = false;
  EXPECT_EQ(report_lines(cut, two_stages(), 256, 300).back(),
            "the answer is cut off after 300 tokens: raise -n (-1: no limit)");
  EXPECT_EQ(report_lines(cut, two_stages(), 256, kUntilTheEnd).back(),
            "the answer is cut off after 300 tokens: the context is full; raise -c");
  EXPECT_EQ(report_lines(cut, two_stages(), 256, 5000).back(),
            "the answer is cut off after 300 tokens: the context is full; raise -c");
}

TEST(RunReport, WhatAnAnswerWaitedForIsALineOfARunAndOfAChatAndIsInJson) {
  RequestResult stalled = some_result();
  stalled.stalls = {{"lost worker nas", 0.1, 0.2, 0.3, 0.4, 0.25}};
  const std::string line =
      "stalled for 1.25 s: detect 0.10 + re-plan 0.20 + load 0.30 + encode 0.40 + lost steps 0.25 "
      "(lost worker nas)";
  EXPECT_EQ(report_lines(stalled, two_stages(), 256, 512).back(), line);
  EXPECT_EQ(chat_report_lines(stalled, 512).back(), line);
  const nlohmann::json json = report_json(stalled, two_stages(), 256);
  ASSERT_EQ(json["stalls"].size(), 1u);
  EXPECT_EQ(json["stalls"][0]["seconds"], 1.25);
}

TEST(RunReport, JsonCountsEveryLinkOfAStep) {
  const nlohmann::json json = report_json(some_result(), two_stages(), 256);
  ASSERT_EQ(json["links_a_step"].size(), 5u);
  EXPECT_EQ(json["links_a_step"][4]["from"], "head");
  EXPECT_EQ(json["links_a_step"][4]["to"], "coordinator");
  EXPECT_EQ(json["links_a_step"][4]["payload_bytes"], 3072);
}

}  // namespace
}  // namespace potluck
