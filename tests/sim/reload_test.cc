// One set of workers under three plans, one after another, over transports that carry real bytes:
// the answer is the same each time, though head and stages change places and a load fails between.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "coordinator/pipeline.h"
#include "shard/worker.h"
#include "topology/model/locator.h"
#include "transport/inproc/inproc.h"
#include "transport/proof/ring_proof.h"
#include "transport/zmq/zmq.h"

namespace potluck {
namespace {

constexpr char kModel[] =
    "synthetic:nano?layers=4&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5";
constexpr double kPatienceSeconds = 60;

struct Net {
  std::string name;
  std::function<std::function<std::unique_ptr<Transport>()>()> make;
  std::function<std::string(int worker)> endpoint;
};

void PrintTo(const Net& net, std::ostream* out) {
  *out << net.name;
}

class Reload : public testing::TestWithParam<Net> {
 protected:
  static constexpr int kWorkers = 3;

  Reload() {
    for (int i = 0; i < kWorkers; ++i) start_worker(i);
    Fingerprint model;
    model.spec = spec_digest(*source_);
    PipelineEvents events;
    events.requests.finished = [this](uint64_t, const RequestResult& result) { ids_ = result.ids; };
    events.ring_failed = [this](const Fault& fault) { fault_ = fault; };
    PipelineOptions options;
    options.incarnation = 7;
    options.ring_secret = std::string(kRingSecretBytes, 's');
    pipeline_.emplace(source_->spec(), model, events, options);
  }

  ~Reload() override {
    transport_.reset();
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  void start_worker(int index) {
    WorkerOptions options;
    options.threads = 1;
    auto worker = std::make_shared<Worker>(source_, options);
    std::shared_ptr<Transport> transport = make_();
    transport->set_identity(worker->identity());
    endpoints_.push_back(transport->listen(GetParam().endpoint(index)));
    threads_.emplace_back([this, worker, transport] {
      while (!stop_) run_once(*worker, *transport);
    });
  }

  Plan plan(const std::vector<size_t>& workers, uint32_t epoch, const std::vector<int>& split) {
    Plan plan = plan_local(source_->spec(), split);
    plan.epoch = epoch;
    plan.ctx_size = 64;
    plan.chunk = 3;
    plan.head.endpoint = endpoints_[workers[0]];
    for (size_t i = 0; i < plan.stages.size(); ++i)
      plan.stages[i].endpoint = endpoints_[workers[i + 1]];
    return plan;
  }

  // The answer's ids, or nothing and a fault.
  std::vector<int32_t> ask(const Plan& plan) {
    Request request;
    request.prompt = {2, 17, 99, 201, 33, 60, 7, 123};
    request.max_tokens = 16;
    request.seed = 42;
    request.generation.max_steps = 4;
    request.generation.eos_ids = {1};
    ids_.clear();
    fault_.reset();
    apply(pipeline_->start(now(), plan), *transport_);
    pipeline_->submit(request);
    const Time deadline = now() + from_seconds(kPatienceSeconds);
    while (ids_.empty() && !fault_ && now() < deadline) run_once(*pipeline_, *transport_);
    return ids_;
  }

  const std::shared_ptr<const ModelSource> source_ = open_model(kModel);
  const std::function<std::unique_ptr<Transport>()> make_ = GetParam().make();
  std::atomic<bool> stop_{false};
  std::vector<std::string> endpoints_;
  std::vector<std::thread> threads_;
  std::optional<Pipeline> pipeline_;
  std::unique_ptr<Transport> transport_ = make_();
  std::vector<int32_t> ids_;
  std::optional<Fault> fault_;
};

TEST_P(Reload, GivesTheSameAnswerUnderEachPlan) {
  const std::vector<int32_t> first = ask(plan({0, 1, 2}, 1, {1, 3}));
  ASSERT_FALSE(first.empty()) << (fault_ ? fault_->what() : "it hangs");
  EXPECT_EQ(ask(plan({2, 0, 1}, 2, {2, 2})), first) << (fault_ ? fault_->what() : "");
  Plan too_large = plan({1, 2, 0}, 3, {3, 1});
  too_large.stages[0].memory_bytes = 1000;
  EXPECT_TRUE(ask(too_large).empty());
  ASSERT_TRUE(fault_);
  EXPECT_EQ(fault_->kind(), FaultKind::memory) << fault_->what();
  EXPECT_EQ(ask(plan({1, 2}, 4, {4})), first) << (fault_ ? fault_->what() : "");
}

std::function<std::unique_ptr<Transport>()> inproc_net() {
  return [hub = make_inproc_hub()] { return make_inproc_transport(hub); };
}
std::function<std::unique_ptr<Transport>()> zmq_net() {
  return [] { return make_zmq_transport({.insecure_plaintext = true}); };
}

INSTANTIATE_TEST_SUITE_P(
    Nets, Reload,
    testing::Values(Net{"Inproc", inproc_net,
                        [](int worker) { return "inproc://reload-" + std::to_string(worker); }},
                    Net{"Tcp", zmq_net, [](int) { return std::string("tcp://127.0.0.1:*"); }}),
    [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace potluck
