// WorkerHosts: the workers of a plan that are started here, and the way to all of them.
#pragma once

#include <memory>
#include <string>

#include "cluster/ring/local_workers.h"
#include "cluster/ring/worker_threads.h"
#include "topology/base/fault.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"
#include "transport/transport.h"

namespace potluck {

enum class Hosting { threads, processes };  // of the workers that are started here

struct HostSetup {
  Hosting hosting = Hosting::threads;
  std::string program;  // processes: the potluck executable
  std::string model;    // processes: what `-m` said
  int threads = 0;      // of each worker whose plan says none; 0: all cores
  bool insecure_plaintext = false;
};

class WorkerHosts final {
 public:
  // Starts the plan's local workers and fills in their endpoints. Throws Fault{world}.
  WorkerHosts(std::shared_ptr<const ModelSource> source, Plan& plan, const HostSetup& setup);

  std::unique_ptr<Transport> transport() const;  // another end of the links that the workers have
  // Where something of this process can listen so that the plan's workers reach it.
  std::string free_endpoint() const { return free_endpoint_; }

  // The fault, with the last words of local processes that ended.
  Fault with_last_words(const Fault& fault);
  // Of local processes, for -v.
  std::string logs() const { return processes_ ? processes_->logs() : ""; }

 private:
  void start_threads(Plan& plan, const std::shared_ptr<const ModelSource>& source, int threads);
  void start_processes(Plan& plan, const HostSetup& setup);
  void start_process(const WorkerPlan& worker, const HostSetup& setup);

  bool insecure_plaintext_;
  std::string free_endpoint_;
  std::unique_ptr<WorkerThreads> threads_;
  std::unique_ptr<LocalWorkers> processes_;
};

}  // namespace potluck
