// Runs each worker's loop on a thread of this process until its coordinator is gone.
#include "cluster/ring/worker_threads.h"

#include <utility>

#include "shard/card_links.h"
#include "shard/worker.h"
#include "transport/quiet_thread.h"

namespace potluck {

WorkerThreads::WorkerThreads(std::shared_ptr<const ModelSource> source, NewTransport new_transport)
    : source_(std::move(source)), new_transport_(std::move(new_transport)) {}

WorkerThreads::~WorkerThreads() {
  stop();
}

void WorkerThreads::start(const WorkerOrder& order) {
  WorkerOptions options;
  options.name = order.name;
  options.device = order.device;
  options.threads = order.threads;
  options.ranges = order.ranges;
  options.exit_on_shutdown = true;
  options.coordinators = {order.key};
  auto worker = std::make_unique<Worker>(source_, std::move(options));
  std::shared_ptr<Transport> transport =
      with_card_links(new_transport_(), order.device, [](const std::string&) {});
  transport->set_identity(worker->identity());
  endpoints_[order.name] = transport->listen(order.listen);
  transports_.push_back(transport);
  threads_.push_back(
      start_without_signals([this, worker = std::move(worker), transport = std::move(transport)] {
        while (!stopping_ && run_once(*worker, *transport)) {
        }
      }));
}

// A worker whose coordinator never came would wait for it for ever.
void WorkerThreads::stop() {
  stopping_ = true;
  for (const auto& each : transports_)
    if (const std::shared_ptr<Transport> transport = each.lock()) transport->wake();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  transports_.clear();
}

}  // namespace potluck
