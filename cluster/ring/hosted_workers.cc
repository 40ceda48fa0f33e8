// Starts the local workers of a plan on the chosen host, and gives out ends of the chosen links.
#include "cluster/ring/hosted_workers.h"

#include <utility>

#include "cluster/ring/address.h"
#include "cluster/ring/device_rooms.h"
#include "cluster/ring/key_file.h"
#include "cluster/ring/link_keys.h"
#include "cluster/ring/local_memory.h"
#include "cluster/ring/mpi_ranks.h"
#include "cluster/ring/worker_processes.h"
#include "cluster/ring/worker_threads.h"
#include "topology/base/check.h"
#include "topology/base/endpoint.h"
#include "topology/plan/dialing.h"
#include "transport/make_transport.h"

namespace potluck {
namespace {

constexpr double kLastWordsSeconds = 0.3;  // a dead worker's link may end before its process does
constexpr char kInproc[] = "inproc";

template <typename Body>
void each_worker(const Plan& plan, const Body& body) {
  for (PeerId peer = kHeadPeer; plan.has_worker(peer); ++peer) body(peer, plan.worker(peer));
}

// Loopback, or the address of this machine at which `caller`, which somebody else has started,
// reaches it.
std::string tcp_endpoint_for(const WorkerPlan& caller, const std::string& port) {
  return "tcp://" + (is_here(caller) ? "127.0.0.1" : address_towards(caller.endpoint)) + ":" + port;
}

std::unique_ptr<WorkerHost> make_host(std::shared_ptr<const ModelSource> source,
                                      const HostSetup& setup,
                                      const WorkerThreads::NewTransport& new_transport) {
  if (setup.hosting == Hosting::threads)
    return std::make_unique<WorkerThreads>(std::move(source), new_transport);
  return std::make_unique<WorkerProcesses>(
      ProcessSetup{setup.program, setup.model, setup.insecure_plaintext, RemoteShell(setup.ssh)});
}

std::function<LockKeys()> keys_of(const HostSetup& setup) {
  return [file = KeyFile(setup.config)] { return file.read_or_make(); };
}

}  // namespace

void give_model(HostSetup& setup, const ModelPlaces& places, std::pair<int, int> ports,
                std::function<void(const std::string& line)> say) {
  if (setup.remote.empty() || setup.insecure_plaintext || !has_files(setup.model)) return;
  setup.sharer = std::make_shared<ModelSharer>(shared_model(setup.model, places), ports,
                                               keys_of(setup), std::move(say));
}

HostedWorkers::HostedWorkers(std::shared_ptr<const ModelSource> source, const HostSetup& setup)
    : source_(std::move(source)),
      is_inproc_(setup.transport == kInproc),
      may_start_again_(setup.hosting == Hosting::processes && !setup.job),
      setup_(setup),
      new_transport_(
          [name = setup.transport,
           options = TransportOptions{make_inproc_hub(), keys_of(setup), setup.insecure_plaintext,
                                      setup.job}] { return make_transport(name, options); }),
      job_(setup.job),
      host_(make_host(source_, setup, new_transport_)) {
  CHECK(!is_inproc_ || setup.hosting == Hosting::threads, setup.transport);
}

void HostedWorkers::check_memory(const Plan& plan) const {
  check_local_memory(*source_, plan, setup_.threads, cpu_room().bytes_free);
}

void HostedWorkers::start_all(Plan& plan) {
  check_memory(plan);
  std::vector<PeerId> peers;
  each_worker(plan, [&](PeerId peer, const WorkerPlan& worker) {
    if (worker.local || is_remote(worker)) peers.push_back(peer);
  });
  const std::map<std::string, Fault> failed = start(plan, peers);
  if (!failed.empty()) throw failed.begin()->second;
}

// All are started at once, and each on another host has to say its key before anybody calls it.
std::map<std::string, Fault> HostedWorkers::start(Plan& plan, const std::vector<PeerId>& peers) {
  std::map<std::string, Fault> failed;
  const auto each_remote = [&](const auto& body) {
    for (const PeerId peer : peers) {
      WorkerPlan& worker = plan.worker(peer);
      if (!is_remote(worker) || failed.count(worker.name)) continue;
      try {
        body(worker);
      } catch (const Fault& fault) {
        if (fault.kind() == FaultKind::canceled || fault.kind() == FaultKind::input) throw;
        failed.emplace(worker.name, fault);
      }
    }
  };
  each_remote([&](const WorkerPlan& worker) { begin(worker); });
  each_remote([&](WorkerPlan& worker) { meet(worker); });
  if (failed.empty()) start_here(plan, peers);
  return failed;
}

void HostedWorkers::start_here(Plan& plan, const std::vector<PeerId>& peers) {
  name_keys(plan, keys_of(setup_), setup_.insecure_plaintext);
  const auto each_local = [&](const auto& body) {
    for (const PeerId peer : peers)
      if (plan.worker(peer).local) body(peer, plan.worker(peer));
  };
  each_local([&](PeerId peer, WorkerPlan& worker) {
    if (worker.key.empty() && setup_.reachable_at && !setup_.insecure_plaintext)
      worker.key = keys_of(setup_)().public_key;
    WorkerOrder order = order_for(worker);
    order.listen = place_of(plan, peer);
    host_->start(order);
  });
  each_local(
      [&](PeerId, WorkerPlan& worker) { worker.endpoint = host_->endpoint(worker.name).endpoint; });
}

void HostedWorkers::begin(const WorkerPlan& worker) {
  WorkerOrder order = order_for(worker);
  order.remote = setup_.remote.at(worker.name);
  if (!setup_.insecure_plaintext) order.remote->allow = keys_of(setup_)().public_key;
  if (setup_.sharer) order.remote->fetch_from = setup_.sharer->address_for(worker.endpoint);
  host_->start(order);
}

void HostedWorkers::meet(WorkerPlan& worker) {
  const Address address = host_->endpoint(worker.name);
  worker.endpoint = address.endpoint;
  if (!worker.key.empty() && worker.key != address.key)
    throw Fault(FaultKind::refused,
                "\"" + worker.name + "\" has the key " + address.key + ", not " + worker.key,
                Fix{"if its machine has a new key, write that one"});
  worker.key = address.key;
  if (setup_.sharer) setup_.sharer->allow(worker.key, worker.name);
}

WorkerOrder HostedWorkers::order_for(const WorkerPlan& worker) const {
  const auto yields = setup_.yields.find(worker.name);
  WorkerOrder order;
  order.name = worker.name;
  order.device = worker.device;
  order.listen = worker.endpoint;
  order.threads = worker.threads || is_remote(worker) ? worker.threads : setup_.threads;
  order.ranges = setup_.ranges;
  order.key = worker.key;
  if (yields != setup_.yields.end()) order.yield = yields->second;
  return order;
}

// Where a local worker listens: at its plan's endpoint if it has one that the transport knows. All
// addresses of this machine are too many: nobody could be told that one, and one caller is all that
// a worker has. What was found for it once is looked for again: the address may have gone since.
std::string HostedWorkers::place_of(const Plan& plan, PeerId peer) {
  const WorkerPlan& worker = plan.worker(peer);
  const auto wanted = parse_endpoint(worker.endpoint);
  if (is_inproc_ || !wanted || placed_.count(worker.name)) return free_endpoint(plan, peer);
  if (!is_any_address(*wanted)) return worker.endpoint;
  return tcp_endpoint_for(plan.previous_of(peer), std::to_string(wanted->port));
}

// The coordinator calls it, which is here, and the worker before it does.
std::string HostedWorkers::free_endpoint(const Plan& plan, PeerId peer) {
  const WorkerPlan &worker = plan.worker(peer), &caller = plan.previous_of(peer);
  if (is_inproc_) return "inproc://" + worker.name;
  const bool is_called =
      peer != kHeadPeer || plan.stage_count() > 1;  // the head dials a lone stage
  const auto calls_from = parse_endpoint(caller.endpoint);
  if (is_called && !caller.local && calls_from && calls_from->scheme == "tcp")
    return tcp_endpoint_for(caller, "*");
  const std::string address = setup_.reachable_at ? setup_.reachable_at() : "";
  if (setup_.reachable_at) placed_.insert(worker.name);
  if (!address.empty()) return "tcp://" + address + ":*";
  if (!folder_) folder_ = std::make_unique<PrivateFolder>();
  return "ipc://" + folder_->path() + "/" + std::to_string(peer);
}

Fault HostedWorkers::with_last_words(const Fault& fault, const Plan& plan) {
  if (job_) return with_missing_ranks(fault, *job_, plan);
  if (fault.kind() != FaultKind::lost) return fault;
  const std::string words = host_->last_words(now() + from_seconds(kLastWordsSeconds));
  return Fault(fault.kind(), fault.text() + (words.empty() ? "" : "; " + words), fault.fix(),
               fault.where());
}

}  // namespace potluck
