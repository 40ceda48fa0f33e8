// Every recorded trace under tests/golden, replayed by the product's head and stages.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cluster/verify/verify.h"
#include "cluster/verify/verify_sampler.h"
#include "tests/golden/traces.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

class Golden : public testing::TestWithParam<Trace> {
 protected:
  VerifyReport replay(VerifyOptions options = {}) const {
    const std::string root = POTLUCK_GOLDEN "/";
    options.trace = root + GetParam().trace;
    return verify(source_, options);
  }
  std::shared_ptr<const ModelSource> source_ =
      open_model(std::string(POTLUCK_GOLDEN "/") + GetParam().model);
};

// Float32 over other orders of summation: 2e-4 of logits within ±30 (tests/golden/README.md).
TEST_P(Golden, ForcedReplayMeetsEveryLogit) {
  const VerifyReport r = replay();
  EXPECT_GT(r.steps, 0);
  EXPECT_LE(r.max_abs, 2e-4);
  EXPECT_LE(r.entropy_max_abs, 1e-4);
  EXPECT_EQ(r.argmax_agree, 1);
  EXPECT_EQ(r.ids.unexplained, 0);
  EXPECT_LE(r.ids.differ, 0.01 * r.ids.chosen);
  EXPECT_EQ(r.first_bad_layer, "");
}

TEST_P(Golden, FreeReplayStaysWithinTenTimesThat) {
  VerifyOptions options;
  options.free = true;
  EXPECT_LE(replay(options).max_abs, 2e-3);
}

TEST_P(Golden, Bf16StreamLosesNoMoreThanTheReferenceInBf16) {
  VerifyOptions options;
  options.f32 = false;
  const VerifyReport r = replay(options);
  EXPECT_LE(r.vs_bf16, 1.2);
  EXPECT_LE(r.vs_bf16_worst, 2.5);
  EXPECT_GT(r.max_abs, 0);  // the stream was rounded
}

TEST_P(Golden, CutsChunksAndThreadsChangeNoDigit) {
  for (bool f32 : {true, false}) {
    VerifyOptions base;
    base.f32 = f32;
    const nlohmann::json expected = to_json(replay(base));
    for (int cut = 1; cut < source_->spec().layer_count(); ++cut) {
      VerifyOptions options = base;
      options.cuts = {cut};
      EXPECT_EQ(to_json(replay(options)), expected) << "cut " << cut;
    }
    for (int chunk : {1, 7, 64}) {
      VerifyOptions options = base;
      options.chunk = chunk;
      options.threads = chunk % 3 + 1;
      EXPECT_EQ(to_json(replay(options)), expected) << "chunk " << chunk;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Traces, Golden, testing::ValuesIn(kTraces),
                         [](const auto& trace) { return test_name(trace.param); });

TEST(GoldenSampler, RecordedDrawsGiveTheRecordedCanvases) {
  const nlohmann::json report = verify_sampler(POTLUCK_GOLDEN "/sampler.json");
  EXPECT_EQ(report.at("first_difference"), "");
  EXPECT_EQ(report.at("cases"), 6);
  EXPECT_TRUE(report.at("passed"));
}

}  // namespace
}  // namespace potluck
