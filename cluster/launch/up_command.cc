// potluck up: starts the workers of a cluster, loads the model, and leaves a coordinator behind
// that answers potluck run.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "cluster/cli/commands.h"
#include "cluster/cli/fault_line.h"
#include "cluster/cli/host_name.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/log.h"
#include "cluster/launch/control_port.h"
#include "cluster/launch/coordinator.h"
#include "cluster/launch/detach.h"
#include "cluster/launch/open_door.h"
#include "cluster/launch/status_text.h"
#include "cluster/launch/up_flags.h"
#include "cluster/launch/up_plan.h"
#include "cluster/launch/up_text.h"
#include "cluster/launch/up_voice.h"
#include "cluster/launch/waiting_room.h"
#include "cluster/ring/cluster_ring.h"
#include "cluster/ring/key_file.h"
#include "cluster/ring/model_share.h"
#include "cluster/ring/reach_cluster.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/wall_clock.h"
#include "topology/cluster/plan_endpoints.h"

namespace potluck {
namespace {

// Wakes a ring when somebody calls, as long as there is one. Any thread.
class Alarm {
 public:
  void is_for(Ring* ring) {
    const std::lock_guard lock(mutex_);
    ring_ = ring;
  }
  void sound() {
    const std::lock_guard lock(mutex_);
    if (ring_) ring_->wake();
  }

 private:
  std::mutex mutex_;
  Ring* ring_ = nullptr;
};

// Loads the ring and serves until the end.
class Served {
 public:
  Served(const UpFlags& flags, const CommandLine& line, UpPlan planned, RunningCluster& running,
         UpVoice& voice)
      : flags_(flags),
        line_(line),
        planned_(std::move(planned)),
        running_(running),
        voice_(voice),
        server_({[this] { return keys(); }, [this] { alarm_.sound(); }}) {
    state_.pid = getpid();
    state_.model = planned_.model;
    state_.file = flags.cluster;
    state_.joins = flags.join;
    state_.since = unix_seconds();
  }

  void run() {
    running_.write(state_);
    serve();
  }

  bool is_announced() const { return announced_; }

 private:
  // A ring that clients and guests are led to as long as it lives.
  class Led {
   public:
    Led(Served& served, Ring& ring) : served_(served) { lead(&ring); }
    ~Led() { lead(nullptr); }
    Led(const Led&) = delete;
    Led& operator=(const Led&) = delete;

   private:
    void lead(Ring* ring) {
      served_.alarm_.is_for(ring);
      if (served_.door_) served_.door_->lead_to(ring);
    }
    Served& served_;
  };

  // The memory of this machine is looked at once more when its workers start.
  void serve() {
    flags_.join ? open_door() : keep_door_closed(server_);
    if (!planned_.waits) try {
        return serve_ring(planned_.ring.plan, {});
      } catch (const Fault& fault) {
        if (announced_ || !may_wait(flags_, fault)) throw;
        voice_.say(fault_line(fault));
      }
    wait_and_serve();
  }

  void open_door() {
    door_.emplace(server_, door_setup());
    if (!has_files(planned_.model)) return;
    given_.emplace(shared_model(planned_.model, line_.places));
    door_->give(server_, *given_);
  }

  // Waits for machines with whose help the model fits, as often as they go away again.
  void wait_and_serve() {
    WaitingRoom room(planned_.source, waiting_setup());
    room.answer_at(server_);
    listen();
    announce(waiting_text(flags_, planned_, room.what_is_missing()));
    while (!interrupt_signal()) try {
        server_.serve(now() + from_seconds(kTickSeconds));
        door_->tick(now());
        if (const auto plan = room.look(now())) serve_ring(*plan, [this] { server_.serve(now()); });
      } catch (const Fault& fault) {
        if (fault.kind() == FaultKind::canceled) throw;
        voice_.say("waiting for machines again: " + fault_line(fault));
        room.answer_at(server_);
        room.failed(now());
      }
    say_end();
  }

  // Loads the ring and answers until an interrupt.
  void serve_ring(const Plan& plan, std::function<void()> while_loading) {
    const bool waited = while_loading != nullptr;
    for (const std::string& text : ring_lines(planned_, plan)) voice_.say(text);
    RingSetup setup = ring_setup(std::move(while_loading));
    Ring ring(planned_.source, plan, std::move(setup));
    const Led led(*this, ring);
    Coordinator coordinator(planned_.source, ring, server_, coordinator_setup());
    if (!waited) listen();
    if (!interrupt_signal()) announce(up_text(flags_, planned_, ring.plan(), elsewhere()));
    try {
      coordinator.run();
    } catch (const Fault& fault) {
      if (!waited) leave_failed(ring, fault);
      throw;
    }
    say_end();
  }

  void listen() {
    server_.listen("ipc://" + running_.socket());
    const std::string wanted = listen_text(flags_);
    if (!wanted.empty()) {
      server_.allow({flags_.allow.begin(), flags_.allow.end()});
      state_.endpoint = listen_for_others("tcp://" + wanted);
    }
    if (door_) door_->advertise_at(parse_endpoint(state_.endpoint)->port);
    voice_.let_go();
  }

  // Where nobody has chosen the port, another one does as well.
  std::string listen_for_others(const std::string& wanted) {
    try {
      return server_.listen(wanted);
    } catch (const Fault& fault) {
      if (fault.kind() != FaultKind::world || !flags_.listen.empty()) throw;
    }
    const std::string found = server_.listen("tcp://*:*");
    voice_.say(fmt::format("TCP port {} is taken, so machines join at port {}", kControlPort,
                           parse_endpoint(found)->port));
    return found;
  }

  LockKeys keys() const { return KeyFile(line_.config).read_or_make(); }

  RingSetup ring_setup(std::function<void()> while_loading) {
    RingSetup setup;
    setup.hosts = planned_.hosts;
    setup.step_timeout_seconds = flags_.ring.step_timeout;
    setup.while_loading = std::move(while_loading);
    setup.cluster = planned_.ring.cluster;
    setup.may_begin_without = flags_.ring.plan.empty();
    setup.log = [this](const std::string& text) { voice_.say(text); };
    setup.guests_fetch = flags_.join;
    give_model(setup.hosts, line_.places, planned_.ring.ports, setup.log);
    setup.warn = [this](const std::string& text) { voice_.warn(text); };
    return setup;
  }

  CoordinatorSetup coordinator_setup() {
    CoordinatorSetup setup{running_.name(), planned_.model, {}, {}};
    setup.own_hosts = own_hosts();
    setup.places = [this] { return places(); };
    setup.log = [this](const std::string& text) { voice_.say(text); };
    if (door_) setup.every_turn = [this](Time now) { door_->tick(now); };
    return setup;
  }

  // As status, the network and the cluster file call this machine.
  std::set<std::string> own_hosts() const {
    std::set<std::string> names = {kHere, host_name()};
    if (planned_.ring.cluster)
      for (const HostSpec& host : planned_.ring.cluster->hosts)
        if (coordinates(*planned_.ring.cluster, host)) names.insert(host.name);
    return names;
  }

  // Names are those of the cluster file, and those that guests said.
  std::map<std::string, std::string> places() const {
    std::map<std::string, std::string> places;
    if (door_) places = door_->places();
    for (const auto& [worker, place] : planned_.ring.remote)
      if (const HostSpec* host = host_for(*planned_.ring.cluster, worker))
        places[worker] = host->name;
    return places;
  }

  std::set<std::string> own_names() const {
    std::set<std::string> names;
    for (PeerId peer = kHeadPeer; planned_.ring.plan.has_worker(peer); ++peer)
      names.insert(planned_.ring.plan.name_of(peer));
    if (planned_.ring.cluster)
      for (const HostSpec& host : planned_.ring.cluster->hosts)
        for (const DeviceSpec& device : host.devices)
          for (const std::string& worker : worker_names(device)) names.insert(worker);
    return names;
  }

  DoorSetup door_setup() const {
    return {planned_.model, line_.state, keys().public_key, own_names(),
            [this](const std::string& text) { voice_.say(text); }};
  }

  WaitingSetup waiting_setup() const {
    WaitingSetup setup{running_.name(), planned_.model, {}, flags_.ring.threads, {}, {}, {}, {}};
    setup.frame = open_plan_of(*planned_.source, flags_.ring).frame;
    setup.rooms = [this] { return open_plan_of(*planned_.source, flags_.ring).rooms; };
    setup.guests = [this](Time now) { return door_->guests(now); };
    setup.hosts = [this] { return door_->places(); };
    setup.say = [this](const std::string& text) { voice_.say(text); };
    return setup;
  }

  // The flags of `run` on other machines, a space before each, if they may call.
  std::string elsewhere() const {
    const std::string host = flags_.listen.empty() ? "" : address_for_guests(flags_.listen);
    if (host.empty()) return {};
    const int port = parse_endpoint(state_.endpoint)->port;
    return reach_words({kClusterName, fmt::format("{}:{}", host, port), keys().public_key});
  }

  void announce(const std::string& text) {
    state_.phase = ClusterState::Phase::up;
    running_.write(state_);
    voice_.announce(text);
    announced_ = true;
  }

  void say_end() {
    state_.phase = ClusterState::Phase::ending;
    running_.write(state_);
  }

  // Leaves word for `status` and `logs`, which nobody can ask here any more.
  void leave_failed(const Ring& ring, const Fault& fault) {
    for (const auto& [name, log] : ring.logs()) spdlog::info("log of {}:\n{}", name, log);
    spdlog::error(fault_line(fault));
    state_.phase = ClusterState::Phase::failed;
    state_.failure = fault_line(fault);
    running_.write(state_);
  }

  const UpFlags& flags_;
  const CommandLine& line_;
  const UpPlan planned_;
  RunningCluster& running_;
  UpVoice& voice_;
  Alarm alarm_;
  std::optional<SharedModel> given_;  // to guests
  ControlServer server_;
  std::optional<OpenDoor> door_;
  bool announced_ = false;
  ClusterState state_;
};

// progress: of one in the background. What is claimed is removed where nothing comes of it, and
// only once nothing here listens there: from then on it may be another's.
int serve(const UpFlags& flags, const CommandLine& line, RunningCluster& running,
          Progress* progress) {
  UpVoice voice(progress);
  std::optional<Served> served;
  const auto give_back = [&] {
    served.reset();
    running.remove();
  };
  try {
    UpPlan planned = up_plan(flags, line, [&voice](const std::string& text) { voice.say(text); });
    served.emplace(flags, line, std::move(planned), running, voice);
    served->run();
  } catch (const std::exception& error) {
    const auto* fault = dynamic_cast<const Fault*>(&error);
    const bool is_canceled = fault && fault->kind() == FaultKind::canceled;
    if (!served || !served->is_announced() || is_canceled) give_back();
    throw;
  }
  give_back();
  return 0;
}

int up(const UpFlags& wanted, const CommandLine& line) {
  set_up_log(wanted.log);
  check_up_flags(wanted);
  const UpFlags flags = completed(wanted);
  RunningCluster running(line.state, flags.name);
  if (running.claim()) spdlog::info("removed what a coordinator left that ended without a word");
  catch_interrupts();
  if (flags.foreground) {
    std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone is told as any failed write
    return serve(flags, line, running, nullptr);
  }
  return detach(running.log(), [&](Progress& progress) {
    LogOptions log = flags.log;
    log.quiet = true;
    if (log.file.empty()) log.file = running.log();
    set_up_log(log);
    return serve(flags, line, running, &progress);
  });
}

}  // namespace

void add_up(CommandLine& line) {
  const auto flags = std::make_shared<UpFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "up", "start a cluster's workers and load the model, for potluck run to use");
  add_up_flags(sub, *flags);
  sub->callback([&line, flags] { line.chosen = [flags, &line] { return up(*flags, line); }; });
}

}  // namespace potluck
