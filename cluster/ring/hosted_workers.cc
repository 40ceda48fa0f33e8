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
void each_worker(Plan& plan, const Body& body) {
  body(plan.head);
  for (WorkerPlan& stage : plan.stages) body(stage);
}

template <typename Body>
void each_local(Plan& plan, const Body& body) {
  if (plan.head.local) body(kHeadPeer, plan.head);
  for (int i = 0; i < plan.stage_count(); ++i)
    if (plan.stages[i].local) body(stage_peer(i), plan.stages[i]);
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

HostedWorkers::HostedWorkers(std::shared_ptr<const ModelSource> source, Plan& plan,
                             const HostSetup& setup)
    : is_inproc_(setup.transport == kInproc),
      may_start_again_(setup.hosting == Hosting::processes && !setup.job),
      setup_(setup),
      new_transport_(
          [name = setup.transport,
           options = TransportOptions{make_inproc_hub(), keys_of(setup), setup.insecure_plaintext,
                                      setup.job}] { return make_transport(name, options); }),
      job_(setup.job) {
  CHECK(!is_inproc_ || setup.hosting == Hosting::threads, setup.transport);
  check_local_memory(*source, plan, setup.threads, cpu_room().bytes_free);
  host_ = make_host(std::move(source), setup, new_transport_);
  start_remote(plan, setup);
  name_keys(plan, keys_of(setup), setup.insecure_plaintext);
  if (!setup.reachable_at.empty() && !setup.insecure_plaintext)
    each_local(plan, [&](PeerId, WorkerPlan& worker) {
      if (worker.key.empty()) worker.key = keys_of(setup)().public_key;
    });
  each_local(plan, [&](PeerId peer, const WorkerPlan&) { host_->start(order_for(plan, peer)); });
  each_local(plan, [&](PeerId, WorkerPlan& worker) {
    worker.endpoint = host_->endpoint(worker.name).endpoint;
  });
}

// They are started at once, and each has to say its key before anybody calls it.
void HostedWorkers::start_remote(Plan& plan, const HostSetup& setup) {
  each_worker(plan, [&](const WorkerPlan& worker) {
    const auto place = setup.remote.find(worker.name);
    if (place == setup.remote.end()) return;
    RemotePlace remote = place->second;
    if (!setup.insecure_plaintext) remote.allow = keys_of(setup)().public_key;
    if (setup.sharer) remote.fetch_from = setup.sharer->address_for(worker.endpoint);
    host_->start({worker.name, worker.device, worker.endpoint, worker.threads, setup.ranges,
                  worker.key, std::move(remote)});
  });
  each_worker(plan, [&](WorkerPlan& worker) {
    if (!setup.remote.count(worker.name)) return;
    const Address address = host_->endpoint(worker.name);
    worker.endpoint = address.endpoint;
    if (!worker.key.empty() && worker.key != address.key)
      throw Fault(FaultKind::refused,
                  "\"" + worker.name + "\" has the key " + address.key + ", not " + worker.key,
                  Fix{"if its machine has a new key, write that one"});
    worker.key = address.key;
    if (setup.sharer) setup.sharer->allow(worker.key, worker.name);
  });
}

WorkerOrder HostedWorkers::order_for(const Plan& plan, PeerId peer) {
  const WorkerPlan& worker = plan.worker(peer);
  const int threads = worker.threads ? worker.threads : setup_.threads;
  return {worker.name, worker.device, place_of(plan, peer), threads, setup_.ranges, worker.key};
}

void HostedWorkers::start(Plan& plan, PeerId peer) {
  name_keys(plan, keys_of(setup_), setup_.insecure_plaintext);
  WorkerPlan& worker = peer == kHeadPeer ? plan.head : plan.stages[peer - stage_peer(0)];
  host_->start(order_for(plan, peer));
  worker.endpoint = host_->endpoint(worker.name).endpoint;
}

// Where a local worker listens: at its plan's endpoint if it has one that the transport knows. All
// addresses of this machine are too many: nobody could be told that one, and one caller is all that
// a worker has.
std::string HostedWorkers::place_of(const Plan& plan, PeerId peer) {
  const WorkerPlan& worker = plan.worker(peer);
  const auto wanted = parse_endpoint(worker.endpoint);
  if (is_inproc_ || !wanted) return free_endpoint(plan, peer);
  if (!is_any_address(*wanted)) return worker.endpoint;
  return tcp_endpoint_for(plan.previous_of(peer), std::to_string(wanted->port));
}

// The coordinator calls it, which is here, and the worker before it does.
std::string HostedWorkers::free_endpoint(const Plan& plan, PeerId peer) {
  const WorkerPlan &worker = plan.worker(peer), &caller = plan.previous_of(peer);
  if (is_inproc_) return "inproc://" + worker.name;
  const bool is_called =
      peer != kHeadPeer || plan.stage_count() > 1;  // the head dials a lone stage
  if (is_called && !caller.local && !caller.endpoint.empty()) return tcp_endpoint_for(caller, "*");
  if (!setup_.reachable_at.empty()) return "tcp://" + setup_.reachable_at + ":*";
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
