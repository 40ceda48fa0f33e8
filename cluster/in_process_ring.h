// A whole ring in this process: a thread for each worker, linked in-process to the caller's
// transport.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "shard/worker.h"
#include "topology/plan.h"
#include "transport/transport.h"

namespace potluck {

class InProcessRing final {
 public:
  // Fills in the plan's endpoints and starts the workers. threads: total, shared by the workers in
  // turn (one canvas keeps one of them busy); 0: one a core.
  InProcessRing(std::shared_ptr<const ModelSource> source, Plan& plan, int threads);
  ~InProcessRing();  // waits for the workers, which end with their coordinator

  std::unique_ptr<Transport> coordinator() { return make_inproc_transport(hub_); }

 private:
  void start(const WorkerPlan& plan, std::shared_ptr<const ModelSource> source, int threads);

  std::shared_ptr<InprocHub> hub_ = make_inproc_hub();
  std::vector<std::thread> threads_;
};

}  // namespace potluck
