// The whole ring from one seed: right text or one clear Fault, never a hang.
#include <gtest/gtest.h>

#include <memory>

#include "coordinator/pipeline.h"
#include "shard/worker.h"
#include "tests/sim/simulated_network.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/even_partitioner.h"

namespace potluck {
namespace {

constexpr char kModel[] =
    "synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5";
constexpr double kPatienceSeconds = 300;  // virtual

struct Outcome {
  std::optional<RequestResult> result;
  std::optional<Fault> fault;
  bool ended = false;
};

class Cluster {
 public:
  Cluster(std::shared_ptr<const ModelSource> source, int stages, uint64_t seed)
      : source_(std::move(source)), network_(seed) {
    plan_ = plan_local(source_->spec(), EvenPartitioner(stages).layer_counts(*source_));
    Plan& plan = plan_;
    plan.ctx_size = 64;
    plan.chunk = 3;
    plan.head.endpoint = "sim://head";
    for (int i = 0; i < stages; ++i)
      plan.stages[static_cast<size_t>(i)].endpoint = "sim://" + std::to_string(i);
    Fingerprint model;
    model.spec = spec_digest(*source_);
    PipelineOptions options;
    options.incarnation = seed + 1;
    pipeline_ = std::make_unique<Pipeline>(source_->spec(), model, events(), options);
    add(*pipeline_, "sim://coordinator", {});
    add_worker(plan.head.endpoint);
    for (const WorkerPlan& stage : plan.stages) add_worker(stage.endpoint);
  }

  SimulatedNetwork& network() { return network_; }
  int machines() const { return static_cast<int>(workers_.size()) + 1; }

  // `times` requests alike, one session after another; the outcome is the last one's.
  Outcome answer(const Request& request, int times = 1) {
    network_.give(0, pipeline_->start(network_.now(), plan_));
    waiting_ = times;
    for (int i = 0; i < times; ++i) pipeline_->submit(request);
    outcome_.ended = network_.run(0, kPatienceSeconds);
    return outcome_;
  }

 private:
  PipelineEvents events() {
    PipelineEvents events;
    events.requests.finished = [this](uint64_t, const RequestResult& result) {
      outcome_.result = result;
      if (--waiting_ == 0) pipeline_->shut_down();
    };
    events.ring_failed = [this](const Fault& fault) {
      if (!outcome_.fault) outcome_.fault = fault;
      pipeline_->shut_down();
    };
    return events;
  }

  void add(StateMachine& machine, const std::string& endpoint, Identity identity) {
    network_.add(machine, endpoint, std::move(identity));
  }

  void add_worker(const std::string& endpoint) {
    workers_.push_back(std::make_unique<Worker>(source_, WorkerOptions{"", "cpu", 1, 0, false}));
    add(*workers_.back(), endpoint, workers_.back()->identity());
  }

  std::shared_ptr<const ModelSource> source_;
  SimulatedNetwork network_;
  Plan plan_;
  Outcome outcome_;
  int waiting_ = 0;  // answers
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

Request small_request() {
  Request request;
  request.prompt = {2, 17, 99, 201, 33, 60, 7, 123, 250, 11, 12};
  request.max_tokens = 16;
  request.seed = 42;
  request.generation.max_steps = 4;
  request.generation.eos_ids = {1};
  return request;
}

class RingSimulation : public testing::Test {
 protected:
  std::shared_ptr<const ModelSource> source_ = open_model(kModel);
  std::vector<int32_t> expected_ =
      Cluster(source_, 1, 0).answer(small_request()).result.value().ids;
};

TEST_F(RingSimulation, AnswerDoesNotDependOnPartitionOrDelays) {
  ASSERT_GE(expected_.size(), 2u);
  for (int stages = 1; stages <= 4; ++stages) {
    const Outcome outcome =
        Cluster(source_, stages, 100 + static_cast<uint64_t>(stages)).answer(small_request());
    ASSERT_TRUE(outcome.result) << stages << " stages: " << outcome.fault->what();
    EXPECT_EQ(outcome.result->ids, expected_) << stages << " stages";
  }
}

// A plan of one session: each close must have gone round before the next open is heard.
TEST_F(RingSimulation, SessionsFollowEachOtherWhateverTheDelays) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome outcome = Cluster(source_, 3, seed).answer(small_request(), 20);
    ASSERT_FALSE(outcome.fault) << "seed " << seed << ": " << outcome.fault->what();
    ASSERT_EQ(outcome.result.value().ids, expected_) << "seed " << seed;
  }
}

TEST_F(RingSimulation, OneFaultEndsInTheRightTextOrOneClearFault) {
  int answered = 0, failed = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    Cluster cluster(source_, 1 + static_cast<int>(random() % 4), seed);
    const int victim =
        1 + static_cast<int>(random() % static_cast<uint64_t>(cluster.machines() - 1));
    const double when = std::uniform_real_distribution<double>(0, 1.5)(random);
    random() % 2 ? cluster.network().kill_at(victim, when)
                 : cluster.network().freeze_at(victim, when);
    const Outcome outcome = cluster.answer(small_request());
    ASSERT_TRUE(outcome.ended) << "seed " << seed << " hangs";
    ASSERT_NE(outcome.result.has_value(), outcome.fault.has_value()) << "seed " << seed;
    if (outcome.result)
      ASSERT_EQ(outcome.result->ids, expected_) << "seed " << seed;
    else
      ASSERT_EQ(outcome.fault->kind(), FaultKind::lost)
          << "seed " << seed << ": " << outcome.fault->what();
    ++(outcome.result ? answered : failed);
  }
  RecordProperty("answered", answered);
  RecordProperty("failed", failed);
  EXPECT_GT(answered, 0);
  EXPECT_GT(failed, 0);
}

}  // namespace
}  // namespace potluck
