// The recorded traces again, with fast products: a loss near the reference's own in bf16.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include "cluster/verify/verify.h"
#include "kernels/cpu/packed/available.h"
#include "tests/golden/traces.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

using Case = std::tuple<Trace, cpu::Isa>;

class FastGolden : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!cpu::isa_available(isa_)) GTEST_SKIP() << cpu::isa_name(isa_) << " is not on this machine";
  }
  VerifyReport replay(VerifyOptions options) const {
    const std::string root = POTLUCK_GOLDEN "/";
    options.trace = root + trace_.trace;
    options.precision = Precision::fast;
    options.isa = cpu::isa_name(isa_);
    options.f32 = false;
    return verify(source_, options);
  }
  const Trace trace_ = std::get<0>(GetParam());
  const cpu::Isa isa_ = std::get<1>(GetParam());
  std::shared_ptr<const ModelSource> source_ =
      open_model(std::string(POTLUCK_GOLDEN "/") + trace_.model);
};

// 1 is what the reference itself loses in bf16.
TEST_P(FastGolden, LosesNearWhatTheReferenceLosesInBf16) {
  const VerifyReport r = replay({});
  EXPECT_LE(r.vs_bf16, 1.6);
  EXPECT_LE(r.vs_bf16_worst, 2.5);
  EXPECT_EQ(r.ids.unexplained, 0);
  EXPECT_GT(r.max_abs, 0);
}

TEST_P(FastGolden, CutsChunksAndThreadsChangeNoDigit) {
  const nlohmann::json expected = to_json(replay({.threads = 1}));
  for (int threads : {2, 3}) EXPECT_EQ(to_json(replay({.threads = threads})), expected);
  for (int cut = 1; cut < source_->spec().layer_count(); ++cut)
    EXPECT_EQ(to_json(replay({.cuts = {cut}, .threads = 2})), expected) << "cut " << cut;
  for (int chunk : {1, 7, 64})
    EXPECT_EQ(to_json(replay({.chunk = chunk, .threads = 2})), expected) << "chunk " << chunk;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return test_name(std::get<0>(info.param)) + "_" + cpu::isa_name(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Traces, FastGolden,
                         testing::Combine(testing::ValuesIn(kTraces),
                                          testing::Values(cpu::Isa::amx, cpu::Isa::avx512,
                                                          cpu::Isa::avx2)),
                         case_name);

}  // namespace
}  // namespace potluck
