#include "cluster/ring/worker_hosts.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/ring/address.h"
#include "topology/base/clock.h"
#include "topology/base/endpoint.h"
#include "transport/make_transport.h"

namespace potluck {
namespace {

constexpr double kLastWordsSeconds = 0.3;  // a dead worker's link may end before its process does

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

// Loopback, or the address at which workers elsewhere reach us.
std::string free_endpoint_of(const Plan& plan) {
  std::vector<WorkerPlan> workers = plan.stages;
  workers.push_back(plan.head);
  const auto far = std::find_if(workers.begin(), workers.end(), is_elsewhere);
  return "tcp://" + (far == workers.end() ? "127.0.0.1" : address_towards(far->endpoint)) + ":*";
}

}  // namespace

WorkerHosts::WorkerHosts(std::shared_ptr<const ModelSource> source, Plan& plan,
                         const HostSetup& setup)
    : insecure_plaintext_(setup.insecure_plaintext) {
  setup.hosting == Hosting::processes ? start_processes(plan, setup)
                                      : start_threads(plan, source, setup.threads);
}

void WorkerHosts::start_threads(Plan& plan, const std::shared_ptr<const ModelSource>& source,
                                int threads) {
  free_endpoint_ = "inproc://here";
  threads_ = std::make_unique<WorkerThreads>();
  each_local(plan, [&](WorkerPlan& worker) { threads_->start(worker, source, threads); });
}

std::unique_ptr<Transport> WorkerHosts::transport() const {
  return threads_ ? threads_->transport() : make_transport("zmq", {nullptr, insecure_plaintext_});
}

void WorkerHosts::start_processes(Plan& plan, const HostSetup& setup) {
  free_endpoint_ = free_endpoint_of(plan);
  processes_ = std::make_unique<LocalWorkers>(setup.program);
  each_local(plan, [&](const WorkerPlan& worker) { start_process(worker, setup); });
  each_local(plan, [&](WorkerPlan& worker) {
    const std::string at = processes_->endpoint(worker.name);
    if (worker.endpoint.empty()) worker.endpoint = at;
  });
}

void WorkerHosts::start_process(const WorkerPlan& worker, const HostSetup& setup) {
  std::vector<std::string> arguments = {
      "--listen", worker.endpoint.empty() ? free_endpoint_ : worker.endpoint,
      "-m",       setup.model,
      "--name",   worker.name,
      "--device", worker.device,
      "--local"};
  if (!worker.threads && setup.threads)
    arguments.insert(arguments.end(), {"-t", std::to_string(setup.threads)});
  if (setup.insecure_plaintext) arguments.push_back("--insecure-plaintext");
  processes_->start(worker.name, arguments);
}

Fault WorkerHosts::with_last_words(const Fault& fault) {
  std::string words;
  const Time deadline = now() + from_seconds(processes_ ? kLastWordsSeconds : 0);
  while (fault.kind() == FaultKind::lost && words.empty() && now() < deadline) {
    words = processes_->last_words();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return Fault(fault.kind(), fault.text() + (words.empty() ? "" : "; " + words), fault.fix(),
               fault.where());
}

}  // namespace potluck
