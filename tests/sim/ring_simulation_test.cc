// The whole ring from one seed, with everything that may happen to it: right text or one clear
// Fault, never a hang, never a wrong text.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/sim/simulated_ring.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

constexpr char kModel[] =
    "synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5";

Request small_request() {
  Request request;
  request.prompt = {2, 17, 99, 201, 33, 60, 7, 123, 250, 11, 12};
  request.max_tokens = 16;
  request.seed = 42;
  request.generation.max_steps = 4;
  request.generation.eos_ids = {1};
  return request;
}

std::vector<int> first_workers(int count) {
  std::vector<int> workers(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) workers[static_cast<size_t>(i)] = i;
  return workers;
}

class RingSimulation : public testing::Test {
 protected:
  Outcome ask(SimulatedRing& ring, int workers, uint32_t epoch = 1, int times = 1) const {
    return ring.ask(plan_over(*source_, first_workers(workers), epoch), small_request(), times);
  }

  // Right text or a fault of one of these kinds. True: text.
  bool expect_clear(const Outcome& outcome, uint64_t seed, std::vector<FaultKind> kinds) {
    EXPECT_TRUE(outcome.ended) << "seed " << seed << " hangs";
    EXPECT_NE(outcome.result.has_value(), outcome.fault.has_value()) << "seed " << seed;
    ++(outcome.result ? answered_ : failed_);
    if (outcome.result) {
      EXPECT_EQ(outcome.result->ids, expected_) << "seed " << seed;
    }
    if (outcome.fault) {
      EXPECT_NE(std::find(kinds.begin(), kinds.end(), outcome.fault->kind()), kinds.end())
          << "seed " << seed << ": " << outcome.fault->what();
    }
    return outcome.result.has_value();
  }

  // The seeds must have met both.
  void expect_some_of_both() {
    RecordProperty("answered", answered_);
    RecordProperty("failed", failed_);
    EXPECT_GT(answered_, 0);
    EXPECT_GT(failed_, 0);
  }

  // Once the trouble is over, a ring that is loaded again answers.
  void expect_recovery(SimulatedRing& ring, int workers, uint64_t seed) {
    Outcome outcome;
    for (uint32_t epoch = 2; epoch <= 5 && !outcome.result; ++epoch)
      outcome = ask(ring, workers, epoch);
    ASSERT_TRUE(outcome.result) << "seed " << seed << ": "
                                << (outcome.fault ? outcome.fault->what() : "it hangs");
    EXPECT_EQ(outcome.result->ids, expected_) << "seed " << seed;
  }

  const std::shared_ptr<const ModelSource> source_ = open_model(kModel);
  const std::vector<int32_t> expected_ = [this] {
    SimulatedRing ring(source_, 2, 0);
    return ask(ring, 2).result.value().ids;
  }();
  int answered_ = 0, failed_ = 0;
};

double moment(std::mt19937_64& random, double from, double to) {
  return std::uniform_real_distribution<double>(from, to)(random);
}

TEST_F(RingSimulation, AnswerDoesNotDependOnPartitionOrDelays) {
  ASSERT_GE(expected_.size(), 2u);
  for (int workers = 2; workers <= 5; ++workers) {
    SimulatedRing ring(source_, workers, 100 + static_cast<uint64_t>(workers));
    const Outcome outcome = ask(ring, workers);
    ASSERT_TRUE(outcome.result) << workers << " workers: " << outcome.fault->what();
    EXPECT_EQ(outcome.result->ids, expected_) << workers << " workers";
  }
}

// A plan of one session: each close must have gone round before the next open is heard.
TEST_F(RingSimulation, SessionsFollowEachOtherWhateverTheDelays) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimulatedRing ring(source_, 4, seed, {.delay_seconds_max = 0.002 * static_cast<double>(seed)});
    const Outcome outcome = ask(ring, 4, 1, 10);
    ASSERT_FALSE(outcome.fault) << "seed " << seed << ": " << outcome.fault->what();
    ASSERT_TRUE(outcome.result) << "seed " << seed << " hangs";
    ASSERT_EQ(outcome.result->ids, expected_) << "seed " << seed;
  }
}

TEST_F(RingSimulation, AWorkerThatDiesOrFreezesEndsInTheRightTextOrOneClearFault) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    std::mt19937_64 random(seed);
    const int workers = 2 + static_cast<int>(random() % 4);
    SimulatedRing ring(source_, workers, seed);
    Simulation& simulation = ring.simulation();
    const std::string victim =
        worker_endpoint(static_cast<int>(random() % static_cast<uint64_t>(workers)));
    const bool dies = random() % 2;
    simulation.at(moment(random, 0, 1.5), [&simulation, victim, dies] {
      dies ? simulation.kill(victim) : simulation.freeze(victim);
    });
    expect_clear(ask(ring, workers), seed, {FaultKind::lost});
  }
  expect_some_of_both();
}

TEST_F(RingSimulation, AWorkerThatStartsAgainIsLoadedAgain) {
  for (uint64_t seed = 201; seed <= 320; ++seed) {
    std::mt19937_64 random(seed);
    const int workers = 2 + static_cast<int>(random() % 4);
    SimulatedRing ring(source_, workers, seed);
    Simulation& simulation = ring.simulation();
    const std::string victim =
        worker_endpoint(static_cast<int>(random() % static_cast<uint64_t>(workers)));
    simulation.at(moment(random, 0, 1.5), [&simulation, victim] { simulation.restart(victim); });
    if (!expect_clear(ask(ring, workers), seed, {FaultKind::lost, FaultKind::refused}))
      expect_recovery(ring, workers, seed);
  }
  expect_some_of_both();
}

// A short cut is a delay; a longer one takes the link down.
TEST_F(RingSimulation, APartitionEndsInTheRightTextOrOneClearFault) {
  for (uint64_t seed = 401; seed <= 520; ++seed) {
    std::mt19937_64 random(seed);
    const int workers = 2 + static_cast<int>(random() % 4);
    SimulatedRing ring(source_, workers, seed);
    Simulation& simulation = ring.simulation();
    const int one = static_cast<int>(random() % static_cast<uint64_t>(workers));
    const int two = static_cast<int>(random() % static_cast<uint64_t>(workers + 1));
    const std::string other =
        two == workers || two == one ? kCoordinatorEndpoint : worker_endpoint(two);
    const double length = moment(random, 0.1, 6);
    simulation.at(moment(random, 0, 1), [&simulation, one, other, length] {
      simulation.cut(worker_endpoint(one), other, length);
    });
    if (!expect_clear(ask(ring, workers), seed, {FaultKind::lost}))
      expect_recovery(ring, workers, seed);
  }
  expect_some_of_both();
}

// No transport hands a message out twice; should one do so, it is found out or does no harm.
TEST_F(RingSimulation, AMessageThatComesTwiceIsRefusedOrIgnored) {
  for (uint64_t seed = 601; seed <= 720; ++seed) {
    SimulatedRing ring(source_, 3, seed, {.twice = 0.01});
    expect_clear(ask(ring, 3), seed, {FaultKind::refused, FaultKind::memory});
  }
  expect_some_of_both();
}

// Different cuts, different workers, head and stages exchanged, and a load that fails between.
TEST_F(RingSimulation, TheSameWorkersAnswerTheSameUnderEachPlan) {
  for (uint64_t seed = 801; seed <= 820; ++seed) {
    SimulatedRing ring(source_, 4, seed);
    const auto expect_answer = [&](const std::vector<int>& workers, uint32_t epoch,
                                   const std::vector<int>& split) {
      const Outcome outcome = ring.ask(plan_over(*source_, workers, epoch, split), small_request());
      ASSERT_TRUE(outcome.result) << "seed " << seed << ", epoch " << epoch << ": "
                                  << (outcome.fault ? outcome.fault->what() : "it hangs");
      EXPECT_EQ(outcome.result->ids, expected_) << "seed " << seed << ", epoch " << epoch;
    };
    expect_answer({0, 1, 2, 3}, 1, {1, 1, 2});
    expect_answer({3, 1, 0}, 2, {3, 1});
    Plan too_large = plan_over(*source_, {1, 3, 2, 0}, 3, {2, 1, 1});
    too_large.stages[1].memory_bytes = 1000;
    const Outcome refused = ring.ask(too_large, small_request());
    ASSERT_TRUE(refused.fault) << "seed " << seed;
    EXPECT_EQ(refused.fault->kind(), FaultKind::memory) << refused.fault->what();
    expect_answer({1, 3, 2, 0}, 4, {2, 1, 1});
  }
}

}  // namespace
}  // namespace potluck
