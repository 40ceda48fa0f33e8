// HostedWorkers: the workers of a plan that are started here, and ends of links to all of the
// plan's workers. Two choices meet here and stay apart: what hosts the workers, and what carries
// messages between them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/cli/private_folder.h"
#include "cluster/ring/model_share.h"
#include "cluster/ring/worker_host.h"
#include "topology/base/fault.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"
#include "transport/mpi/mpi.h"
#include "transport/transport.h"

namespace potluck {

enum class Hosting { threads, processes };  // of this process, or of this machine and others

struct HostSetup {
  Hosting hosting = Hosting::threads;
  std::string transport = "inproc";  // a name of transport_choices()
  std::string program;               // Hosting::processes: the potluck executable
  std::string model;                 // Hosting::processes: the model as -m names it
  int threads = 0;                   // of each worker whose plan does not say; 0: all cores
  bool ranges = false;               // of each worker on a card
  std::string config;                // zmq: where this machine's key lies (key_file.h)
  bool insecure_plaintext = false;   // zmq: links over TCP are not locked
  std::shared_ptr<MpiJob> job;       // mpi: this process is its rank 0, and no worker is local
  // Hosting::processes: workers that are to be started on other hosts where a plan has them, by
  // name, each to listen at its plan's endpoint; and the remote shell (remote_shell.h).
  std::map<std::string, RemotePlace> remote;
  std::string ssh;
  std::shared_ptr<ModelSharer> sharer;  // from which they fetch what they lack; may be none
  // Hosting::processes: when workers leave their devices to their owners, by name, as --yield has
  // it.
  std::map<std::string, std::string> yields;
  // Where workers of other machines, which may come later, reach those of this one, as its networks
  // are now; empty: it has none, and local workers listen at sockets of this user alone. None:
  // nobody comes.
  std::function<std::string()> reachable_at;
};

// Lets workers on other hosts fetch what they lack of the model from here, where its bytes lie in
// files and links are locked. ports: those that this machine may listen at; 0: any. say: on any
// thread.
void give_model(HostSetup& setup, const ModelPlaces& places, std::pair<int, int> ports,
                std::function<void(const std::string& line)> say);

class HostedWorkers final {
 public:
  // Starts nobody yet. The transport inproc needs Hosting::threads.
  HostedWorkers(std::shared_ptr<const ModelSource> source, const HostSetup& setup);

  // Throws Fault{memory} if the plan's local workers need more than this machine has.
  void check_memory(const Plan& plan) const;
  // Starts the workers that are to be started on other hosts, then the plan's local ones, and fills
  // in their endpoints and keys. Throws Fault{world}, Fault{input} for a plan whose links cannot be
  // locked, and Fault{refused} for a host with another key than its plan's; and as check_memory().
  void start_all(Plan& plan);

  // Whether a worker of the plan is started here or from here, and can be started again.
  bool can_start_again(const WorkerPlan& worker) const {
    return may_start_again_ && (worker.local || is_remote(worker));
  }
  // Starts some workers of the plan, that were before or are new, as start_all() does. Says why,
  // by name, where some do not start; local ones are then not tried.
  std::map<std::string, Fault> start(Plan& plan, const std::vector<PeerId>& peers);
  // Starts one on another host without waiting for it; state() says when it listens, and meet()
  // fills in its key then. Throw as start_all().
  void begin(const WorkerPlan& worker);
  WorkerState state(const WorkerPlan& worker) { return host_->state(worker.name); }
  void meet(WorkerPlan& worker);

  // A new end of links in this process.
  std::unique_ptr<Transport> transport() const { return new_transport_(); }
  // Where this worker of the plan is to listen, so that those that call it reach it: where the plan
  // says; else at a socket that this user alone can open; or at a TCP port of the address that the
  // worker before reaches, where somebody else has started that one.
  std::string place_of(const Plan& plan, PeerId peer);

  // The fault of a lost worker with the worker's last words, or the names of lost ranks; any other
  // fault as it is.
  Fault with_last_words(const Fault& fault, const Plan& plan);
  std::string last_words() { return host_->last_words(now()); }  // of those that have failed
  std::map<std::string, std::string> logs() const { return host_->logs(); }
  void trim_logs() { host_->trim_logs(); }
  int threads() const { return setup_.threads; }
  void stop() { host_->stop(); }

 private:
  bool is_remote(const WorkerPlan& worker) const { return setup_.remote.count(worker.name); }
  void start_here(Plan& plan, const std::vector<PeerId>& peers);
  std::string free_endpoint(const Plan& plan, PeerId peer);
  WorkerOrder order_for(const WorkerPlan& worker) const;

  const std::shared_ptr<const ModelSource> source_;
  const bool is_inproc_;
  const bool may_start_again_;  // a thread does not fail by itself
  const HostSetup setup_;
  std::unique_ptr<PrivateFolder> folder_;  // outlives what listens there
  std::set<std::string> placed_;           // workers that listen where this machine was reachable
  const std::function<std::unique_ptr<Transport>()> new_transport_;
  const std::shared_ptr<MpiJob> job_;
  std::unique_ptr<WorkerHost> host_;
};

}  // namespace potluck
