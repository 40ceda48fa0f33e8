// Runs each worker's loop on a thread, and the coordinator's on the caller's.
#include "tests/hostile/honest_ring.h"

#include <random>
#include <utility>

#include "shard/worker.h"
#include "topology/plan/even_partitioner.h"
#include "transport/proof/ring_proof.h"
#include "transport/zmq/zmq.h"

namespace potluck {
namespace {

constexpr double kAskSeconds = 60;

const LockKeys& ring_keys() {
  static const LockKeys keys = make_lock_keys();
  return keys;
}

std::unique_ptr<Transport> quiet_transport(bool locked) {
  ZmqOptions options;
  options.insecure_plaintext = !locked;
  options.keys = ring_keys;
  options.log = [](const std::string&) {};
  return make_zmq_transport(options);
}

}  // namespace

Plan attacked_plan(const ModelSource& source, const std::vector<std::string>& endpoints,
                   const std::string& key) {
  const int stages = static_cast<int>(endpoints.size()) - 1;
  Plan plan = plan_local(source.spec(), EvenPartitioner(stages).layer_counts(source));
  plan.ctx_size = 64;
  plan.chunk = 4;
  plan.stream = plan.kv = plan.head.hop_type = DType::f32;
  plan.head.endpoint = endpoints[0];
  plan.head.key = key;
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    plan.stages[i].endpoint = endpoints[i + 1];
    plan.stages[i].key = key;
    plan.stages[i].hop_type = DType::f32;
  }
  return plan;
}

HonestWorkers::HonestWorkers(std::shared_ptr<const ModelSource> source, int count, Locks locks)
    : source_(std::move(source)), key_(locks == Locks::one_key ? ring_keys().public_key : "") {
  for (int i = 0; i < count; ++i) {
    WorkerOptions options;
    options.threads = 1;
    options.coordinators = {key_};
    options.name = "worker " + std::to_string(i);
    auto worker = std::make_shared<Worker>(source_, options);
    std::shared_ptr<Transport> transport = quiet_transport(!key_.empty());
    transport->set_identity(worker->identity());
    endpoints_.push_back(transport->listen("tcp://127.0.0.1:*"));
    threads_.emplace_back([this, worker, transport] {
      while (!stop_) run_once(*worker, *transport);
    });
  }
}

HonestWorkers::~HonestWorkers() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
}

HonestCoordinator::HonestCoordinator(std::shared_ptr<const ModelSource> source, Plan plan)
    : incarnation_(std::random_device{}() | 1u),
      plan_(std::move(plan)),
      source_(std::move(source)),
      transport_(quiet_transport(!plan_.head.key.empty())) {
  Fingerprint model;
  model.spec = spec_digest(*source_);
  PipelineEvents events;
  events.requests.finished = [this](uint64_t, const RequestResult& result) { ids_ = result.ids; };
  events.requests.failed = [this](uint64_t, const Fault& fault) { fault_ = fault; };
  events.ring_failed = [this](const Fault& fault) { fault_ = fault; };
  PipelineOptions options;
  options.incarnation = incarnation_;
  options.ring_secret = random_bytes(kRingSecretBytes);
  pipeline_ = std::make_unique<Pipeline>(source_->spec(), model, events, options);
  apply(pipeline_->start(now(), plan_), *transport_);
}

HonestCoordinator::~HonestCoordinator() {
  end();
}

void HonestCoordinator::end() {
  pipeline_->shut_down();
  while (running_) running_ = run_once(*pipeline_, *transport_);
  transport_.reset();
}

std::vector<int32_t> HonestCoordinator::ask() {
  Request request;
  request.prompt = {2, 17, 99, 201, 33, 60, 7, 123};
  request.max_tokens = 16;
  request.seed = 42;
  request.generation.max_steps = 4;
  request.generation.eos_ids = {1};
  ids_.clear();
  pipeline_->submit(request);
  const Time deadline = now() + from_seconds(kAskSeconds);
  while (running_ && ids_.empty() && !fault_ && now() < deadline)
    running_ = run_once(*pipeline_, *transport_);
  return ids_;
}

}  // namespace potluck
