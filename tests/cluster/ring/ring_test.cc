// A ring takes several requests at once from an owner that turns it.
#include "cluster/ring/ring.h"

#include <gtest/gtest.h>

#include "cluster/ring/ring_plan.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

constexpr char kSmallModel[] = "synthetic:nano?layers=4&hidden=64&vocab=512&canvas=16&seed=3";

Request request_of(int32_t first) {
  Request request;
  request.prompt = {first, 17, 99};
  request.max_tokens = 16;
  request.generation.max_steps = 4;
  return request;
}

class RingTest : public testing::Test {
 protected:
  RingTest() {
    RingOptions options;
    options.stages = 2;
    plan_ = make_plan(*source_, options);
    plan_.sessions = 2;
    setup_.hosts.threads = 1;
  }

  struct Heard {
    std::map<uint64_t, std::vector<int32_t>> answers;
    std::map<uint64_t, Fault> faults;
    std::map<uint64_t, int> steps;
    RequestEvents events() {
      RequestEvents events;
      events.step = [this](const StepReport& report) { ++steps[report.request]; };
      events.finished = [this](uint64_t id, const RequestResult& result) {
        answers[id] = result.ids;
      };
      events.failed = [this](uint64_t id, const Fault& fault) { faults.emplace(id, fault); };
      return events;
    }
  };

  static void turn_until(Ring& ring, const std::function<bool()>& done) {
    while (!done()) ASSERT_TRUE(ring.turn(now() + from_seconds(1)));
  }

  const std::shared_ptr<const ModelSource> source_ = open_model(kSmallModel, {});
  Plan plan_;
  RingSetup setup_;
};

TEST_F(RingTest, AnswersManyAsItAnswersEachAlone) {
  Ring ring(source_, plan_, setup_);
  std::vector<std::vector<int32_t>> alone;
  for (int32_t i = 0; i < 4; ++i) alone.push_back(ring.ask(request_of(2 + i)).ids);
  Heard heard;
  std::vector<uint64_t> asked;
  for (int32_t i = 0; i < 4; ++i) asked.push_back(ring.submit(request_of(2 + i), heard.events()));
  turn_until(ring, [&] { return heard.answers.size() + heard.faults.size() == asked.size(); });
  ASSERT_TRUE(heard.faults.empty()) << heard.faults.begin()->second.what();
  for (size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(heard.answers[asked[i]], alone[i]) << i;
    EXPECT_GT(heard.steps[asked[i]], 0) << i;
  }
}

TEST_F(RingTest, CancelsOneRequestAndKeepsTheOthers) {
  Ring ring(source_, plan_, setup_);
  Heard heard;
  const uint64_t canceled = ring.submit(request_of(2), heard.events());
  const uint64_t kept = ring.submit(request_of(3), heard.events());
  ring.cancel(canceled);
  turn_until(ring, [&] { return heard.answers.size() + heard.faults.size() == 2; });
  EXPECT_EQ(heard.faults.at(canceled).kind(), FaultKind::canceled);
  EXPECT_FALSE(heard.answers.at(kept).empty());
}

}  // namespace
}  // namespace potluck
