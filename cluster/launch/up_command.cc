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
#include "cluster/cli/interrupt.h"
#include "cluster/cli/log.h"
#include "cluster/launch/control_port.h"
#include "cluster/launch/coordinator.h"
#include "cluster/launch/detach.h"
#include "cluster/launch/open_door.h"
#include "cluster/launch/up_flags.h"
#include "cluster/launch/waiting_room.h"
#include "cluster/ring/cluster_ring.h"
#include "cluster/ring/key_file.h"
#include "cluster/ring/model_share.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/base/wall_clock.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/cluster/plan_endpoints.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

// All is decided before anything is started, but for a model that has to wait for other machines.
struct Launch {
  std::shared_ptr<const ModelSource> source;
  std::string model;
  ClusterRing ring;
  HostSetup hosts;
  bool waits = false;  // the model does not fit this machine, so there is no plan yet
};

using Say = std::function<void(const std::string& line)>;

// A plan for this machine, or none yet if others may come and help.
void plan_here(const UpFlags& flags, Launch& launch, const Say& say) {
  try {
    launch.ring.plan = plan_of(*launch.source, flags.ring, say);
  } catch (const Fault& fault) {
    if (!may_wait(flags, fault)) throw;
    say(fault.what());
    launch.waits = true;
  }
}

void let_guests_reach(HostSetup& hosts, const std::string& listen) {
  hosts.reachable_at = [listen] { return address_for_guests(listen); };
  if (hosts.reachable_at().empty())
    throw Fault(FaultKind::world, "this machine has no address that others could reach",
                Fix{"connect it to a network, or start it without --join"});
}

// Asks drivers of cards, whose answers no process survives that is forked later.
Launch prepare(const UpFlags& flags, const CommandLine& line, const Say& say) {
  Launch launch;
  ClusterSpec cluster;
  if (!flags.file.empty()) cluster = read_cluster(flags.file);
  launch.model = flags.model.empty() ? cluster.model : flags.model;
  if (launch.model.empty())
    throw Fault(FaultKind::input, flags.file + " names no model",
                Fix{"add model:", Setting::model});
  if (!flags.model.empty()) cluster.model = flags.model;
  launch.source = open_model(launch.model, line.places);
  launch.hosts = host_setup(flags.ring, 2);  // processes, which a crash here cannot hold up
  if (flags.file.empty()) {
    plan_here(flags, launch, say);
  } else {
    launch.ring = cluster_ring(cluster, *launch.source, flags.ring.plan);
    launch.hosts.insecure_plaintext |= cluster.options.insecure_plaintext;
  }
  launch.hosts.program = line.program;
  launch.hosts.config = line.config;
  launch.hosts.model = launch.model;
  launch.hosts.remote = launch.ring.remote;
  launch.hosts.yields = launch.ring.yields;
  launch.hosts.ssh = flags.ssh;
  if (flags.join) let_guests_reach(launch.hosts, listen_text(flags));
  return launch;
}

std::string place_text(const Launch& launch, const WorkerPlan& worker) {
  const auto remote = launch.ring.remote.find(worker.name);
  return remote != launch.ring.remote.end() ? " on " + remote->second.host
         : worker.local                     ? ""
                                            : " at " + worker.endpoint;
}

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

// Loads the ring and serves until the end. progress: of one in the background.
class Served {
 public:
  Served(const UpFlags& flags, const CommandLine& line, Launch launch, RunningCluster& running,
         Progress* progress)
      : flags_(flags),
        line_(line),
        launch_(std::move(launch)),
        running_(running),
        progress_(progress),
        server_({[this] { return keys(); }, [this] { alarm_.sound(); }}) {
    state_.pid = getpid();
    state_.model = launch_.model;
    state_.file = flags.file;
    state_.since = unix_seconds();
  }

  int run() {
    try {
      running_.write(state_);
      serve();
    } catch (const Fault& fault) {
      if (!announced_ || fault.kind() == FaultKind::canceled) running_.remove();
      throw;
    }
    running_.remove();
    return 0;
  }

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
    if (flags_.join) door_.emplace(server_, door_setup());
    if (flags_.join && has_files(launch_.model)) {
      given_.emplace(shared_model(launch_.model, line_.places));
      door_->give(server_, *given_);
    }
    if (!launch_.waits) try {
        return serve_ring(launch_.ring.plan, {});
      } catch (const Fault& fault) {
        if (announced_ || !may_wait(flags_, fault)) throw;
        say(fault_line(fault));
      }
    wait_and_serve();
  }

  // Waits for machines with whose help the model fits, as often as they go away again.
  void wait_and_serve() {
    WaitingRoom room(launch_.source, waiting_setup());
    room.answer_at(server_);
    listen();
    announce(waiting_text(room.what_is_missing()));
    while (!interrupt_signal()) try {
        server_.serve(now() + from_seconds(kTickSeconds));
        door_->tick(now());
        if (const auto plan = room.look(now())) serve_ring(*plan, [this] { server_.serve(now()); });
      } catch (const Fault& fault) {
        if (fault.kind() == FaultKind::canceled) throw;
        say("waiting for machines again: " + fault_line(fault));
        room.answer_at(server_);
        room.failed(now());
      }
    say_end();
  }

  // Loads the ring and answers until an interrupt.
  void serve_ring(const Plan& plan, std::function<void()> while_loading) {
    const bool waited = while_loading != nullptr;
    tell_plan(plan);
    RingSetup setup = ring_setup(std::move(while_loading));
    Ring ring(launch_.source, plan, std::move(setup));
    const Led led(*this, ring);
    Coordinator coordinator(launch_.source, ring, server_, coordinator_setup());
    if (!waited) listen();
    if (!interrupt_signal()) announce(up_text(ring.plan()));
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
    if (progress_) progress_->let_go();
  }

  // Where nobody has chosen the port, another one does as well.
  std::string listen_for_others(const std::string& wanted) {
    try {
      return server_.listen(wanted);
    } catch (const Fault& fault) {
      if (fault.kind() != FaultKind::world || !flags_.listen.empty()) throw;
    }
    const std::string found = server_.listen("tcp://*:*");
    say(fmt::format("TCP port {} is taken, so machines join at port {}", kControlPort,
                    parse_endpoint(found)->port));
    return found;
  }

  LockKeys keys() const { return KeyFile(line_.config).read_or_make(); }

  RingSetup ring_setup(std::function<void()> while_loading) {
    RingSetup setup;
    setup.hosts = launch_.hosts;
    setup.step_timeout_seconds = flags_.ring.step_timeout;
    setup.while_loading = std::move(while_loading);
    setup.cluster = launch_.ring.cluster;
    setup.may_begin_without = flags_.ring.plan.empty();
    setup.log = [this](const std::string& text) { say(text); };
    setup.guests_fetch = flags_.join;
    give_model(setup.hosts, line_.places, launch_.ring.ports, setup.log);
    setup.warn = [this](const std::string& text) { warn(text); };
    return setup;
  }

  CoordinatorSetup coordinator_setup() {
    CoordinatorSetup setup{running_.name(), launch_.model, {}, {}};
    setup.places = [this] { return places(); };
    if (door_) setup.every_turn = [this](Time now) { door_->tick(now); };
    return setup;
  }

  // Names are those of the cluster file, and those that guests said.
  std::map<std::string, std::string> places() const {
    std::map<std::string, std::string> places;
    if (door_) places = door_->places();
    for (const auto& [worker, place] : launch_.ring.remote)
      if (const HostSpec* host = host_for(*launch_.ring.cluster, worker))
        places[worker] = host->name;
    return places;
  }

  std::set<std::string> own_names() const {
    std::set<std::string> names;
    for (PeerId peer = kHeadPeer; launch_.ring.plan.has_worker(peer); ++peer)
      names.insert(launch_.ring.plan.name_of(peer));
    if (launch_.ring.cluster)
      for (const HostSpec& host : launch_.ring.cluster->hosts)
        for (const DeviceSpec& device : host.devices)
          for (const std::string& worker : worker_names(device)) names.insert(worker);
    return names;
  }

  DoorSetup door_setup() const {
    return {launch_.model, line_.state, keys().public_key, own_names(),
            [this](const std::string& text) { say(text); }};
  }

  WaitingSetup waiting_setup() const {
    WaitingSetup setup{running_.name(), launch_.model, {}, flags_.ring.threads, {}, {}, {}, {}};
    setup.frame = open_plan_of(*launch_.source, flags_.ring).frame;
    setup.rooms = [this] { return open_plan_of(*launch_.source, flags_.ring).rooms; };
    setup.guests = [this](Time now) { return door_->guests(now); };
    setup.hosts = [this] { return door_->places(); };
    setup.say = [this](const std::string& text) { say(text); };
    return setup;
  }

  void tell_plan(const Plan& plan) const {
    say(fmt::format("head: {}{} ({})", plan.head.name, place_text(launch_, plan.head),
                    plan.head.device));
    for (const WorkerPlan& stage : plan.stages)
      say(fmt::format("layers {}: {}{} ({})", range_text(stage.layers), stage.name,
                      place_text(launch_, stage), stage.device));
    if (launch_.ring.step_ms)
      say(fmt::format("predicted: {:.0f} ms a step", *launch_.ring.step_ms));
  }

  // Any thread: Avahi has one, and what gives the model to workers has another.
  void say(const std::string& text) const {
    spdlog::info(text);
    const std::lock_guard lock(progress_mutex_);
    if (progress_) progress_->line(text);
  }

  void warn(const std::string& text) {
    const std::lock_guard lock(progress_mutex_);
    spdlog::warn(text);
    if (progress_) progress_->line("warning: " + text);
  }

  // A name other than the usual one has to be said to the other commands, too.
  std::string name_flag() const {
    return flags_.name == kClusterName ? "" : " --name " + flags_.name;
  }

  std::string common_text() const {
    std::string text =
        fmt::format("\nlook:      potluck status{0}\nend it:    potluck down{0}", name_flag());
    if (flags_.join)
      text += fmt::format(
          "\njoin it:   potluck token create{}, and on the other machine potluck join TOKEN",
          name_flag());
    return text;
  }

  std::string up_text(const Plan& plan) const {
    std::string text = fmt::format(
        "{} is up: {} workers, {} tokens of context\n"
        "ask it:    potluck run{} -p \"Why is the sky blue?\"",
        launch_.model, plan.stage_count() + 1, plan.ctx_size, name_flag());
    text += common_text();
    const std::string host = flags_.listen.empty() ? "" : address_for_guests(flags_.listen);
    if (!host.empty())
      text += fmt::format("\nelsewhere: potluck run --connect {}:{} --key {} -p …", host,
                          parse_endpoint(state_.endpoint)->port, keys().public_key);
    return text;
  }

  std::string waiting_text(const std::string& missing) const {
    return fmt::format("{} waits for machines to join: {}", launch_.model, missing) + common_text();
  }

  static void print(const std::string& text) {
    if (std::puts(text.c_str()) < 0 || std::fflush(stdout) != 0)
      throw Fault(FaultKind::world, "nobody reads what up has to say on stdout",
                  Fix{"leave out --foreground, and it stays in the background"});
  }

  void announce(const std::string& text) {
    state_.phase = ClusterState::Phase::up;
    running_.write(state_);
    const std::lock_guard lock(progress_mutex_);
    progress_ ? progress_->ready(text) : print(text);
    progress_ = nullptr;
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
  const Launch launch_;
  RunningCluster& running_;
  mutable std::mutex progress_mutex_;
  Progress* progress_;
  Alarm alarm_;
  std::optional<SharedModel> given_;  // to guests
  ControlServer server_;
  std::optional<OpenDoor> door_;
  bool announced_ = false;
  ClusterState state_;
};

// progress: of one in the background. What is claimed is removed where nothing comes of it.
int serve(const UpFlags& flags, const CommandLine& line, RunningCluster& running,
          Progress* progress) {
  const auto say = [progress](const std::string& text) {
    spdlog::info(text);
    if (progress) progress->line(text);
  };
  std::optional<Launch> launch;
  try {
    launch = prepare(flags, line, say);
  } catch (const std::exception&) {
    running.remove();
    throw;
  }
  return Served(flags, line, *std::move(launch), running, progress).run();
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
