// A ring that loses workers, gets them back and is cut apart gives the same ids as one that nothing
// happens to, as long as two workers are left.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/sim/simulated_ring.h"
#include "topology/model/locator.h"
#include "topology/plan/remaining_plan.h"
#include "topology/planner/cluster_replanner.h"

namespace potluck {
namespace {

constexpr char kModel[] =
    "synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5";

Request two_canvases() {
  Request request;
  request.prompt = {2, 17, 99, 201, 33, 60, 7, 123, 250, 11, 12};
  request.max_tokens = 16;
  request.seed = 42;
  request.generation.max_steps = 4;
  request.generation.eos_ids = {1};
  return request;
}

std::vector<int> first_workers(int count) {
  std::vector<int> workers;
  for (int i = 0; i < count; ++i) workers.push_back(i);
  return workers;
}

class RecoverySimulation : public testing::Test {
 protected:
  // Takes back whoever answers again.
  Replan replan() {
    return [this](const RingChange& change, WhyNot&) -> std::optional<Plan> {
      ++plans_;
      if (change.losses == 0 && change.lost.empty()) ++returns_;
      return remaining_plan(*source_, change.plan, change.candidates);
    };
  }

  std::unique_ptr<SimulatedRing> ring_of(int workers, uint64_t seed, Habits habits = {}) {
    return std::make_unique<SimulatedRing>(source_, workers, seed, habits,
                                           std::vector<std::string>{}, replan());
  }

  Outcome ask(SimulatedRing& ring, int workers, uint32_t epoch = 1) const {
    return ring.ask(plan_over(*source_, first_workers(workers), epoch), two_canvases());
  }

  void expect_answer(const Outcome& outcome, uint64_t seed) {
    ASSERT_TRUE(outcome.ended) << "seed " << seed << " hangs";
    ASSERT_TRUE(outcome.result) << "seed " << seed << ": " << outcome.fault->what();
    EXPECT_EQ(outcome.result->ids, expected_) << "seed " << seed;
    EXPECT_EQ(outcome.canvases, expected_) << "seed " << seed << ": a canvas was taken back";
    stalls_ += !outcome.result->stalls.empty();
  }

  const std::shared_ptr<const ModelSource> source_ = open_model(kModel);
  const std::vector<int32_t> expected_ = [this] {
    SimulatedRing ring(source_, 2, 0);
    return ask(ring, 2).result.value().ids;
  }();
  int plans_ = 0, returns_ = 0, stalls_ = 0;
};

// All that happens to one ring is drawn from a seed.
class Trouble {
 public:
  Trouble(SimulatedRing& ring, int workers, uint64_t seed)
      : simulation_(ring.simulation()), workers_(workers), random_(seed) {}

  // Workers that die or freeze, so that two are left whatever happens; some start again.
  void losses() {
    std::vector<int> victims = first_workers(workers_);
    std::shuffle(victims.begin(), victims.end(), random_);
    victims.resize(1 + random_() % static_cast<size_t>(workers_ - 2));
    for (int victim : victims) {
      const std::string at = worker_endpoint(victim);
      const double when = moment(0.5, 2.5);
      const bool dies = random_() % 2, returns = random_() % 2;
      Simulation& simulation = simulation_;  // lives longer than this
      simulation.at(
          when, [&simulation, at, dies] { dies ? simulation.kill(at) : simulation.freeze(at); });
      if (returns)
        simulation.at(when + moment(0.1, 8), [&simulation, at] { simulation.restart(at); });
    }
  }

  // Two workers, or one and the coordinator, that do not hear each other for a while.
  void partitions() {
    for (uint64_t left = random_() % 3; left > 0; --left) {
      const int one = static_cast<int>(random_() % static_cast<uint64_t>(workers_));
      const int two = static_cast<int>(random_() % static_cast<uint64_t>(workers_ + 1));
      const std::string other =
          two == workers_ || two == one ? kCoordinatorEndpoint : worker_endpoint(two);
      const double length = moment(0.1, 6);
      simulation_.at(moment(0.3, 3), [&simulation = simulation_, one, other, length] {
        simulation.cut(worker_endpoint(one), other, length);
      });
    }
  }

 private:
  double moment(double from, double to) {
    return std::uniform_real_distribution<double>(from, to)(random_);
  }

  Simulation& simulation_;
  const int workers_;
  std::mt19937_64 random_;
};

TEST_F(RecoverySimulation, LossesReturnsAndDelaysDoNotChangeTheAnswer) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const int workers = 3 + static_cast<int>(seed % 3);
    const auto ring =
        ring_of(workers, seed, {.delay_seconds_max = 0.0002 * static_cast<double>(seed)});
    Trouble trouble(*ring, workers, seed);
    trouble.losses();
    expect_answer(ask(*ring, workers), seed);
    if (HasFatalFailure()) return;
  }
  RecordProperty("stalls", stalls_);
  RecordProperty("plans", plans_);
  EXPECT_GT(stalls_, 100);
}

TEST_F(RecoverySimulation, AWorkerThatComesBackIsTakenBackBetweenCanvases) {
  for (uint64_t seed = 3001; seed <= 3010; ++seed) {
    const auto ring = ring_of(3, seed);
    Simulation& simulation = ring->simulation();
    const std::string at = worker_endpoint(static_cast<int>(seed % 3));
    simulation.at(0.6, [&] { simulation.kill(at); });
    simulation.at(2.5, [&] { simulation.restart(at); });
    const int before = returns_;
    const Outcome outcome = ring->ask(plan_over(*source_, first_workers(3), 1), two_canvases(), 20);
    ASSERT_FALSE(outcome.fault) << "seed " << seed << ": " << outcome.fault->what();
    ASSERT_TRUE(outcome.result) << "seed " << seed << " hangs";
    EXPECT_EQ(outcome.result->ids, expected_) << "seed " << seed;
    EXPECT_GT(returns_, before) << "seed " << seed;
  }
}

TEST_F(RecoverySimulation, PartitionsDoNotChangeTheAnswer) {
  for (uint64_t seed = 1001; seed <= 1150; ++seed) {
    const int workers = 3 + static_cast<int>(seed % 3);
    const auto ring = ring_of(workers, seed);
    Trouble(*ring, workers, seed).partitions();
    expect_answer(ask(*ring, workers), seed);
    if (HasFatalFailure()) return;
  }
  RecordProperty("stalls", stalls_);
  EXPECT_GT(stalls_, 5);
}

// The ring is a cluster's, each of whose devices can be the head or hold half of the layers. The
// last two are spares, and a planner finds each plan.
class ClusterSimulation : public RecoverySimulation {
 protected:
  ClusterSimulation() {
    cluster_.file = "cluster.yaml";
    cluster_.network = LinkSpec{"", "", 0.2, 1000, false, Source::stated, 0};
    for (int i = 0; i < kDevices; ++i) {
      HostSpec& host = cluster_.hosts.emplace_back();
      host.name = "d" + std::to_string(i);
      DeviceSpec& device = host.devices.emplace_back();
      device.name = host.name;
      device.spare = i >= kFirstSpare;
      device.memory_bytes = uint64_t{1} << 40;
      device.speed = DeviceSpeed{1, 1, 5, 0, "", Source::stated};
    }
    first_ = plan_over(*source_, {0, 1, 2}, 1);
    first_.head.name = "d0";
    first_.stages[0].name = "d1";
    first_.stages[1].name = "d2";
    const PlanProblem problem = make_problem(cluster_, *source_, {});
    const Placement placement{0, {{1, {0, 2}}, {2, {2, 4}}}};
    uint64_t most = 0;
    for (int device = 0; device < 3; ++device)
      most = std::max(most, bytes_on(problem, placement, device));
    for (HostSpec& host : cluster_.hosts) host.devices[0].memory_bytes = most;
  }

  Replan by_planner() {
    replanner_.emplace(cluster_, *source_, first_);
    return [this](const RingChange& change, WhyNot&) -> std::optional<Plan> {
      for (const Candidate& each : change.candidates) replanner_->there(each.worker.name);
      for (const std::string& lost : change.lost) replanner_->gone(lost);
      const bool is_whole = change.losses == 0 && change.lost.empty();
      std::string why_not;
      std::optional<Plan> next =
          is_whole ? replanner_->better(change.plan, why_not) : replanner_->remaining(change.plan);
      if (!next && !is_whole) throw Fault(FaultKind::memory, "too few are left");
      if (!next) return next;
      if (is_whole) spares_ = 0;
      place(next->head);
      for (WorkerPlan& stage : next->stages) place(stage);
      is_whole ? ++returns_ : ++plans_;
      return next;
    };
  }

  void place(WorkerPlan& worker) {
    const int device = worker.name.at(1) - '0';
    spares_ += device >= kFirstSpare;
    worker.endpoint = worker_endpoint(device);
    worker.local = false;
  }

  static constexpr int kDevices = 5, kFirstSpare = 3;
  ClusterSpec cluster_;
  Plan first_;
  std::optional<ClusterReplanner> replanner_;
  int spares_ = 0;
};

TEST_F(ClusterSimulation, SparesThatHelpOutDoNotChangeTheAnswer) {
  for (uint64_t seed = 4001; seed <= 4150; ++seed) {
    SimulatedRing ring(source_, kDevices, seed,
                       {.delay_seconds_max = 0.0002 * static_cast<double>(seed - 4000)}, {},
                       by_planner());
    Trouble trouble(ring, 3, seed);
    trouble.losses();
    const Outcome outcome = ring.ask(first_, two_canvases(), 4);
    ASSERT_FALSE(outcome.fault) << "seed " << seed << ": " << outcome.fault->what();
    ASSERT_TRUE(outcome.result) << "seed " << seed << " hangs";
    EXPECT_EQ(outcome.result->ids, expected_) << "seed " << seed;
  }
  RecordProperty("plans", plans_);
  EXPECT_GT(plans_, 20);
  EXPECT_GT(spares_, 20);
}

TEST_F(ClusterSimulation, AWorkerThatComesBackSendsTheSpareHome) {
  for (uint64_t seed = 5001; seed <= 5006; ++seed) {
    SimulatedRing ring(source_, kDevices, seed, {}, {}, by_planner());
    Simulation& simulation = ring.simulation();
    const std::string at = worker_endpoint(1 + static_cast<int>(seed % 2));
    simulation.at(0.6, [&] { simulation.kill(at); });
    simulation.at(2.5, [&] { simulation.restart(at); });
    const int before = returns_;
    const Outcome outcome = ring.ask(first_, two_canvases(), 20);
    ASSERT_FALSE(outcome.fault) << "seed " << seed << ": " << outcome.fault->what();
    ASSERT_TRUE(outcome.result) << "seed " << seed << " hangs";
    EXPECT_EQ(outcome.result->ids, expected_) << "seed " << seed;
    EXPECT_EQ(returns_, before + 1) << "seed " << seed;
    EXPECT_EQ(spares_, 0) << "seed " << seed << ": of the last plan";
  }
}

// A message that comes twice is refused where it does harm, and that ends its request.
TEST_F(RecoverySimulation, WithDuplicatesTheAnswerIsRightOrRefused) {
  int answered = 0;
  for (uint64_t seed = 2001; seed <= 2050; ++seed) {
    const int workers = 3 + static_cast<int>(seed % 3);
    const auto ring = ring_of(workers, seed, {.twice = 0.005});
    Trouble trouble(*ring, workers, seed);
    trouble.losses();
    const Outcome outcome = ask(*ring, workers);
    ASSERT_TRUE(outcome.ended) << "seed " << seed << " hangs";
    answered += outcome.result.has_value();
    if (outcome.result) {
      EXPECT_EQ(outcome.result->ids, expected_) << "seed " << seed;
    } else {
      EXPECT_EQ(outcome.fault->kind(), FaultKind::refused)
          << "seed " << seed << ": " << outcome.fault->what();
    }
  }
  EXPECT_GT(answered, 10);
}

TEST_F(RecoverySimulation, ARingThatHasTooFewWorkersLeftSaysWhomItLostAndWhyItEnds) {
  const auto ring = ring_of(2, 7);
  ring->simulation().at(0.2, [&] { ring->simulation().kill(worker_endpoint(1)); });
  const Outcome outcome = ask(*ring, 2);
  ASSERT_TRUE(outcome.fault);
  EXPECT_EQ(outcome.fault->kind(), FaultKind::lost);
  EXPECT_EQ(std::string(outcome.fault->what()),
            "lost worker stage 0 at sim://worker-1: closed by peer; there is no other plan: a "
            "ring needs two workers, and head is left");
}

}  // namespace
}  // namespace potluck
