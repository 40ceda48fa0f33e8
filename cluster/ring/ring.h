// Ring: a loaded ring and the pipeline over it, for one request after another. (Pipeline itself
// takes several at once, on one thread.) Its workers are threads of this process, processes of this
// machine, or others that listen at the plan's endpoints.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/ring/hosted_workers.h"
#include "coordinator/pipeline.h"
#include "topology/model/model_source.h"

namespace potluck {

struct RingSetup {
  HostSetup hosts;
  double step_timeout_seconds = 0;
  bool verbose = false;  // logs what each worker has loaded, and at the end the workers' own logs
  std::function<void(const std::string& line)> log = [](const std::string&) {};
};

class Ring final {
 public:
  // Starts the plan's local workers, connects and loads all. Throws the first Fault, with the last
  // words of local processes that ended.
  Ring(std::shared_ptr<const ModelSource> source, Plan plan, RingSetup setup);
  ~Ring();  // ends the local workers

  // Asks one request and waits for its result. events.finished and events.failed are not called,
  // for the result is returned and the request's Fault thrown; after an interrupt (interrupt.h)
  // that is Fault{canceled}, with the ring still loaded.
  RequestResult ask(Request request, RequestEvents events = {});
  // Takes in what has come meanwhile, for a moment; false once the ring has failed, and then
  // throw_failure() says how.
  bool looks_alive();
  void throw_failure();
  void close_session(uint64_t session) { pipeline_->close_session(session); }

  const Plan& plan() const { return plan_; }

 private:
  PipelineEvents pipeline_events();
  void run_until(const std::function<bool()>& done);

  std::shared_ptr<const ModelSource> source_;
  Plan plan_;
  RingSetup setup_;
  HostedWorkers hosts_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Pipeline> pipeline_;
  bool loaded_ = false, running_ = true;
  std::optional<Fault> ring_fault_, request_fault_;
  std::optional<RequestResult> result_;
  RequestEvents asked_;  // the current request's
};

}  // namespace potluck
