// WorkerThreads: workers that are threads of this process, linked to it and to each other in
// process.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "topology/model/model_source.h"
#include "topology/plan/plan.h"
#include "transport/inproc/inproc.h"

namespace potluck {

class WorkerThreads final {
 public:
  WorkerThreads() = default;
  ~WorkerThreads();  // waits for the workers, which end with their coordinator

  // Starts one and fills in its endpoint. threads: of a worker whose plan says none.
  void start(WorkerPlan& plan, std::shared_ptr<const ModelSource> source, int threads);
  std::unique_ptr<Transport> transport() const { return make_inproc_transport(hub_); }

 private:
  std::shared_ptr<InprocHub> hub_ = make_inproc_hub();
  std::vector<std::thread> threads_;
};

}  // namespace potluck
