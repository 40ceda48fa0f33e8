// A coordinator and its workers in a simulation, for tests that ask them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/pipeline.h"
#include "shard/worker.h"
#include "tests/sim/simulation.h"

namespace potluck {

struct Outcome {
  std::optional<RequestResult> result;  // of the last request
  std::optional<Fault> fault;           // the first one
  bool ended = false;                   // one of the two is there
  std::vector<int32_t> canvases;        // all ids of finished canvases, as they were told
};

// Worker i listens at worker_endpoint(i); workers wait for the next coordinator when one is done.
std::string worker_endpoint(int worker);
inline constexpr char kCoordinatorEndpoint[] = "sim://coordinator";

// The first worker named is the head, the others are the stages in ring order, of equal layers or
// of as many as `split` says.
Plan plan_over(const ModelSource& source, const std::vector<int>& workers, uint32_t epoch,
               const std::vector<int>& split = {});

class SimulatedRing final {
 public:
  // devices: those of the workers; the CPU where there are none.
  // replan: what is done about losses; none: they end the ring.
  SimulatedRing(std::shared_ptr<const ModelSource> source, int workers, uint64_t seed,
                Habits habits = {}, std::vector<std::string> devices = {}, Replan replan = {});

  Simulation& simulation() { return simulation_; }
  Pipeline& pipeline() { return *pipeline_; }
  // Loads the plan, and asks so many times, one session after another.
  Outcome ask(const Plan& plan, const Request& request, int times = 1);

 private:
  PipelineEvents events();
  void add_worker(int index);

  const std::shared_ptr<const ModelSource> source_;
  const std::vector<std::string> devices_;
  Simulation simulation_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Pipeline> pipeline_;
  Outcome outcome_;
  int waiting_ = 0;  // answers
};

}  // namespace potluck
