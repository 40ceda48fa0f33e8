#include "cluster/ring/worker_threads.h"

#include <utility>

#include "shard/worker.h"

namespace potluck {

WorkerThreads::~WorkerThreads() {
  for (std::thread& thread : threads_) thread.join();
}

void WorkerThreads::start(WorkerPlan& plan, std::shared_ptr<const ModelSource> source,
                          int threads) {
  plan.endpoint = "inproc://" + plan.name;
  WorkerOptions options;
  options.name = plan.name;
  options.device = plan.device;
  options.threads = plan.threads ? plan.threads : threads;
  options.memory_bytes = plan.memory_bytes;
  options.exit_on_shutdown = true;
  auto worker = std::make_unique<Worker>(std::move(source), std::move(options));
  std::unique_ptr<Transport> transport = make_inproc_transport(hub_);
  transport->set_identity(worker->identity());
  transport->listen(plan.endpoint);
  threads_.emplace_back([worker = std::move(worker), transport = std::move(transport)] {
    run_loop(*worker, *transport);
  });
}

}  // namespace potluck
