#include "cluster/in_process_ring.h"

#include <utility>

namespace potluck {

InProcessRing::InProcessRing(std::shared_ptr<const ModelSource> source, Plan& plan, int threads) {
  plan.head.endpoint = "inproc://head";
  for (size_t i = 0; i < plan.stages.size(); ++i)
    plan.stages[i].endpoint = "inproc://stage-" + std::to_string(i);
  start(plan.head, source, threads);
  for (const WorkerPlan& stage : plan.stages) start(stage, source, threads);
}

InProcessRing::~InProcessRing() {
  for (std::thread& thread : threads_) thread.join();
}

void InProcessRing::start(const WorkerPlan& plan, std::shared_ptr<const ModelSource> source,
                          int threads) {
  WorkerOptions options{plan.name, plan.device, plan.threads ? plan.threads : threads,
                        plan.memory_bytes, true};
  auto worker = std::make_unique<Worker>(std::move(source), std::move(options));
  std::unique_ptr<Transport> transport = make_inproc_transport(hub_);
  transport->set_identity(worker->identity());
  transport->listen(plan.endpoint);
  threads_.emplace_back([worker = std::move(worker), transport = std::move(transport)] {
    run_loop(*worker, *transport);
  });
}

}  // namespace potluck
