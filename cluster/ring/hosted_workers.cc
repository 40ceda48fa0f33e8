// Starts the local workers of a plan on the chosen host, and gives out ends of the chosen links.
#include "cluster/ring/hosted_workers.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cluster/ring/address.h"
#include "cluster/ring/mpi_ranks.h"
#include "cluster/ring/worker_processes.h"
#include "cluster/ring/worker_threads.h"
#include "topology/base/check.h"
#include "topology/base/endpoint.h"
#include "transport/make_transport.h"

namespace potluck {
namespace {

constexpr double kLastWordsSeconds = 0.3;  // a dead worker's link may end before its process does
constexpr char kInproc[] = "inproc";

template <typename Body>
void each_local(Plan& plan, const Body& body) {
  if (plan.head.local) body(plan.head);
  for (WorkerPlan& stage : plan.stages)
    if (stage.local) body(stage);
}

bool is_elsewhere(const WorkerPlan& worker) {
  const auto endpoint = parse_endpoint(worker.endpoint);
  return !worker.local && endpoint && !is_loopback(*endpoint);
}

// Loopback, or the address at which workers elsewhere reach this machine.
std::string free_tcp_endpoint(const Plan& plan) {
  std::vector<WorkerPlan> workers = plan.stages;
  workers.push_back(plan.head);
  const auto far = std::find_if(workers.begin(), workers.end(), is_elsewhere);
  return "tcp://" + (far == workers.end() ? "127.0.0.1" : address_towards(far->endpoint)) + ":*";
}

std::unique_ptr<WorkerHost> make_host(std::shared_ptr<const ModelSource> source,
                                      const HostSetup& setup,
                                      const WorkerThreads::NewTransport& new_transport) {
  if (setup.hosting == Hosting::threads)
    return std::make_unique<WorkerThreads>(std::move(source), new_transport);
  return std::make_unique<WorkerProcesses>(
      ProcessSetup{setup.program, setup.model, setup.insecure_plaintext});
}

}  // namespace

HostedWorkers::HostedWorkers(std::shared_ptr<const ModelSource> source, Plan& plan,
                             const HostSetup& setup)
    : tcp_endpoint_(setup.transport == kInproc ? "" : free_tcp_endpoint(plan)),
      new_transport_(
          [name = setup.transport,
           options = TransportOptions{make_inproc_hub(), setup.insecure_plaintext, setup.job}] {
            return make_transport(name, options);
          }),
      job_(setup.job) {
  CHECK(setup.transport != kInproc || setup.hosting == Hosting::threads, setup.transport);
  host_ = make_host(std::move(source), setup, new_transport_);
  each_local(plan, [&](const WorkerPlan& worker) {
    const int threads = worker.threads ? worker.threads : setup.threads;
    host_->start({worker.name, worker.device, place_of(worker), threads, setup.ranges});
  });
  each_local(plan, [&](WorkerPlan& worker) {
    const std::string found = host_->endpoint(worker.name);
    if (place_of(worker) != worker.endpoint) worker.endpoint = found;
  });
}

// Where a local worker listens: at its plan's endpoint if it has one that the transport knows.
std::string HostedWorkers::place_of(const WorkerPlan& worker) const {
  return tcp_endpoint_.empty() || worker.endpoint.empty() ? free_endpoint(worker.name)
                                                          : worker.endpoint;
}

std::string HostedWorkers::free_endpoint(const std::string& name) const {
  return tcp_endpoint_.empty() ? "inproc://" + name : tcp_endpoint_;
}

Fault HostedWorkers::with_last_words(const Fault& fault, const Plan& plan) {
  if (job_) return with_missing_ranks(fault, *job_, plan);
  if (fault.kind() != FaultKind::lost) return fault;
  const std::string words = host_->last_words(now() + from_seconds(kLastWordsSeconds));
  return Fault(fault.kind(), fault.text() + (words.empty() ? "" : "; " + words), fault.fix(),
               fault.where());
}

}  // namespace potluck
