// Builds the machines of a simulated ring and listens to the coordinator's events.
#include "tests/sim/simulated_ring.h"

#include "topology/plan/even_partitioner.h"
#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {
constexpr double kPatienceSeconds = 300;  // of made-up time
}  // namespace

std::string worker_endpoint(int worker) {
  return "sim://worker-" + std::to_string(worker);
}

Plan plan_over(const ModelSource& source, const std::vector<int>& workers, uint32_t epoch,
               const std::vector<int>& split) {
  const int stages = static_cast<int>(workers.size()) - 1;
  Plan plan = plan_local(source.spec(),
                         split.empty() ? EvenPartitioner(stages).layer_counts(source) : split);
  plan.epoch = epoch;
  plan.ctx_size = 64;
  plan.chunk = 3;
  plan.head.local = false;
  for (WorkerPlan& stage : plan.stages) stage.local = false;
  plan.head.endpoint = worker_endpoint(workers[0]);
  for (size_t i = 0; i < plan.stages.size(); ++i)
    plan.stages[i].endpoint = worker_endpoint(workers[i + 1]);
  return plan;
}

SimulatedRing::SimulatedRing(std::shared_ptr<const ModelSource> source, int workers, uint64_t seed,
                             Habits habits, std::vector<std::string> devices, Replan replan)
    : source_(std::move(source)), devices_(std::move(devices)), simulation_(seed, habits) {
  Fingerprint model;
  model.spec = spec_digest(*source_);
  PipelineOptions options;
  options.incarnation = seed + 1;
  options.replan = std::move(replan);
  options.ring_secret = std::string(kRingSecretBytes, 's');
  pipeline_ = std::make_unique<Pipeline>(source_->spec(), model, events(), options);
  simulation_.add(
      kCoordinatorEndpoint, [this]() -> StateMachine& { return *pipeline_; },
      [] { return Identity{}; });
  workers_.resize(static_cast<size_t>(workers));
  for (int i = 0; i < workers; ++i) add_worker(i);
}

void SimulatedRing::add_worker(int index) {
  std::unique_ptr<Worker>& worker = workers_[static_cast<size_t>(index)];
  simulation_.add(
      worker_endpoint(index),
      [this, index, &worker]() -> StateMachine& {
        WorkerOptions options;
        if (!devices_.empty()) options.device = devices_[static_cast<size_t>(index)];
        options.threads = 1;
        worker = std::make_unique<Worker>(source_, options);
        return *worker;
      },
      [&worker] { return worker->identity(); });
}

PipelineEvents SimulatedRing::events() {
  PipelineEvents events;
  events.requests.finished = [this](uint64_t, const RequestResult& result) {
    outcome_.result = result;
    --waiting_;
  };
  events.requests.canvas_done = [this](const CanvasReport& report) {
    outcome_.canvases.insert(outcome_.canvases.end(), report.ids.begin(), report.ids.end());
  };
  const auto failed = [this](const Fault& fault) {
    if (!outcome_.fault) outcome_.fault = fault;
  };
  events.requests.failed = [failed](uint64_t, const Fault& fault) { failed(fault); };
  events.ring_failed = failed;
  return events;
}

Outcome SimulatedRing::ask(const Plan& plan, const Request& request, int times) {
  outcome_ = {};
  waiting_ = times;
  simulation_.give(kCoordinatorEndpoint, pipeline_->start(simulation_.now(), plan));
  for (int i = 0; i < times; ++i) pipeline_->submit(request);
  outcome_.ended = simulation_.run([this] { return waiting_ == 0 || outcome_.fault; },
                                   seconds(simulation_.now() - Time{}) + kPatienceSeconds);
  return outcome_;
}

}  // namespace potluck
