// potluck up: starts the workers of a cluster, loads the model, and leaves a coordinator behind
// that answers potluck run.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>

#include "cluster/cli/commands.h"
#include "cluster/cli/fault_line.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/log.h"
#include "cluster/launch/control_port.h"
#include "cluster/launch/coordinator.h"
#include "cluster/launch/detach.h"
#include "cluster/launch/open_door.h"
#include "cluster/ring/cluster_ring.h"
#include "cluster/ring/key_file.h"
#include "cluster/ring/model_share.h"
#include "cluster/ring/remote_shell.h"
#include "cluster/ring/ring_flags.h"
#include "coordinator/control/running_cluster.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"
#include "topology/base/text.h"
#include "topology/base/wall_clock.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

struct Flags {
  std::string file, model, name = kClusterName, ssh, listen;
  std::vector<std::string> allow;
  bool foreground = false, join = false;
  RingFlags ring;
  LogOptions log;
};

// All is decided before anything is started.
struct Launch {
  std::shared_ptr<const ModelSource> source;
  std::string model;
  ClusterRing ring;
  HostSetup hosts;
};

void check_flags(const Flags& flags) {
  check_ring_flags(flags.ring);
  if (!flags.file.empty()) check_beside_cluster(flags.ring);
  if (flags.file.empty() && flags.model.empty())
    throw Fault(FaultKind::input, "nothing says what to start",
                Fix{"give -f CLUSTER.yaml, or -m MODEL for this machine alone"});
  if (!flags.ring.host.empty() || !flags.ring.transport.empty())
    throw Fault(FaultKind::input,
                "a cluster that stays is of processes linked by zmq; leave out --host and "
                "--transport");
  for (const std::string& key : flags.allow)
    if (!is_key(key))
      throw Fault(FaultKind::input, "--allow " + key + " is no key",
                  Fix{"it must be what potluck key shows on the machine that is to ask"});
  if (flags.join && flags.ring.insecure_plaintext)
    throw Fault(FaultKind::input, "--join and --insecure-plaintext contradict each other",
                Fix{"machines that join are known by their keys; leave one out"});
  if (flags.join && !parse_endpoint("tcp://" + flags.listen))
    throw Fault(FaultKind::input, "--listen " + flags.listen + " is no HOST:PORT",
                Fix{"write *:7117, or 10.0.0.3:7117"});
  if (!flags.allow.empty() && flags.listen.empty())
    throw Fault(FaultKind::input, "--allow is for clients of other machines",
                Fix{"say with --listen HOST:PORT where they call"});
}

Launch prepare(const Flags& flags, const CommandLine& line) {
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
    launch.ring.plan =
        plan_of(*launch.source, flags.ring, [](const std::string& text) { spdlog::info(text); });
  } else {
    launch.ring = cluster_ring(cluster, *launch.source, flags.ring.plan);
    launch.hosts.insecure_plaintext |= cluster.options.insecure_plaintext;
  }
  launch.hosts.program = line.program;
  launch.hosts.config = line.config;
  launch.hosts.model = launch.model;
  launch.hosts.remote = launch.ring.remote;
  launch.hosts.ssh = flags.ssh;
  if (flags.join) launch.hosts.reachable_at = address_for_guests(flags.listen);
  return launch;
}

std::string place_text(const Launch& launch, const WorkerPlan& worker) {
  const auto remote = launch.ring.remote.find(worker.name);
  return remote != launch.ring.remote.end() ? " on " + remote->second.host
         : worker.local                     ? ""
                                            : " at " + worker.endpoint;
}

void tell_plan(const Launch& launch, Progress* progress) {
  const auto say = [&](const std::string& line) {
    spdlog::info(line);
    if (progress) progress->line(line);
  };
  const Plan& plan = launch.ring.plan;
  say(fmt::format("head: {}{} ({})", plan.head.name, place_text(launch, plan.head),
                  plan.head.device));
  for (const WorkerPlan& stage : plan.stages)
    say(fmt::format("layers {}: {}{} ({})", range_text(stage.layers), stage.name,
                    place_text(launch, stage), stage.device));
  if (launch.ring.step_ms) say(fmt::format("predicted: {:.0f} ms a step", *launch.ring.step_ms));
}

// Loads the ring and serves until the end. progress: of one in the background.
class Served {
 public:
  Served(const Flags& flags, const CommandLine& line, Launch launch, RunningCluster& running,
         Progress* progress)
      : flags_(flags),
        line_(line),
        launch_(std::move(launch)),
        running_(running),
        progress_(progress) {
    state_.pid = getpid();
    state_.model = launch_.model;
    state_.file = flags.file;
    state_.since = unix_seconds();
  }

  int run() {
    running_.write(state_);
    catch_interrupts();
    try {
      serve();
    } catch (const Fault& fault) {
      if (!announced_ || fault.kind() == FaultKind::canceled) running_.remove();
      throw;
    }
    running_.remove();
    return 0;
  }

 private:
  void serve() {
    tell_plan(launch_, progress_);
    const auto keys = [this] { return KeyFile(line_.config).read_or_make(); };
    Ring ring(launch_.source, launch_.ring.plan, ring_setup());
    std::optional<SharedModel> given;
    if (flags_.join && has_files(launch_.model))
      given.emplace(shared_model(launch_.model, line_.places));
    ControlServer server({keys, [&ring] { ring.wake(); }});
    std::optional<OpenDoor> door;  // its verbs are there before anybody can call
    if (flags_.join) door.emplace(server, ring, door_setup());
    if (given) door->give(server, *given);
    CoordinatorSetup setup = coordinator_setup();
    if (door) setup.every_turn = [&door](Time now) { door->tick(now); };
    Coordinator coordinator(launch_.source, ring, server, std::move(setup));
    server.listen("ipc://" + running_.socket());
    if (!flags_.listen.empty()) {
      server.allow({flags_.allow.begin(), flags_.allow.end()});
      state_.endpoint = server.listen("tcp://" + flags_.listen);
    }
    if (progress_) progress_->let_go();
    if (!interrupt_signal()) {  // nobody is told of one that is ending already
      state_.phase = ClusterState::Phase::up;
      running_.write(state_);
      announce(ring.plan());
    }
    try {
      coordinator.run();
    } catch (const Fault& fault) {
      leave_failed(ring, fault);
      throw;
    }
    state_.phase = ClusterState::Phase::ending;
    running_.write(state_);
  }

  RingSetup ring_setup() {
    RingSetup setup;
    setup.hosts = launch_.hosts;
    setup.step_timeout_seconds = flags_.ring.step_timeout;
    setup.log = [this](const std::string& text) { say(text); };
    setup.guests_fetch = flags_.join;
    give_model(setup.hosts, line_.places, launch_.ring.ports, setup.log);
    return setup;
  }

  CoordinatorSetup coordinator_setup() const {
    CoordinatorSetup setup{running_.name(), launch_.model, {}, launch_.ring.step_ms, {}};
    for (const auto& [worker, place] : launch_.ring.remote) setup.places[worker] = place.host;
    return setup;
  }

  DoorSetup door_setup() {
    return {launch_.model, line_.state, KeyFile(line_.config).read_or_make().public_key,
            parse_endpoint("tcp://" + flags_.listen)->port,
            [this](const std::string& text) { say(text); }};
  }

  // The ring's thread calls it, and the one that gives the model to workers.
  void say(const std::string& text) {
    const std::lock_guard<std::mutex> lock(saying_);
    spdlog::info(text);
    if (progress_) progress_->line(text);
  }

  // A name other than the usual one has to be said to the other commands, too.
  void announce(const Plan& plan) {
    const std::string name = flags_.name == kClusterName ? "" : " --name " + flags_.name;
    std::string text = fmt::format(
        "{} is up: {} workers, {} tokens of context\n"
        "ask it:    potluck run{} -p \"Why is the sky blue?\"\n"
        "look:      potluck status{}\n"
        "end it:    potluck down{}",
        launch_.model, plan.stage_count() + 1, plan.ctx_size, name, name, name);
    if (!state_.endpoint.empty())
      text += fmt::format("\nelsewhere: potluck run --connect {} --key {} -p …",
                          state_.endpoint.substr(std::string("tcp://").size()),
                          KeyFile(line_.config).read_or_make().public_key);
    if (flags_.join)
      text += "\njoin it:   potluck token create, and on the other machine potluck join TOKEN";
    const std::lock_guard<std::mutex> lock(saying_);
    progress_ ? progress_->ready(text) : static_cast<void>(std::puts(text.c_str()));
    std::fflush(stdout);
    progress_ = nullptr;
    announced_ = true;
  }

  // Leaves word for `status` and `logs`, which nobody can ask here any more.
  void leave_failed(const Ring& ring, const Fault& fault) {
    for (const auto& [name, log] : ring.logs()) spdlog::info("log of {}:\n{}", name, log);
    spdlog::error(fault_line(fault));
    state_.phase = ClusterState::Phase::failed;
    state_.failure = fault_line(fault);
    running_.write(state_);
  }

  const Flags& flags_;
  const CommandLine& line_;
  const Launch launch_;
  RunningCluster& running_;
  Progress* progress_;
  std::mutex saying_;  // held while progress_ is used
  bool announced_ = false;
  ClusterState state_;
};

int up(const Flags& flags, const CommandLine& line) {
  set_up_log(flags.log);
  check_flags(flags);
  Launch launch = prepare(flags, line);
  RunningCluster running(line.state, flags.name);
  if (running.claim()) spdlog::info("removed what a coordinator left that ended without a word");
  if (flags.foreground) return Served(flags, line, std::move(launch), running, nullptr).run();
  catch_interrupts();
  return detach(running.log(), [&](Progress& progress) {
    LogOptions log = flags.log;
    log.quiet = true;
    if (log.file.empty()) log.file = running.log();
    set_up_log(log);
    return Served(flags, line, std::move(launch), running, &progress).run();
  });
}

}  // namespace

void add_up(CommandLine& line) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* sub = line.app.add_subcommand(
      "up", "start a cluster's workers and load the model, for potluck run to use");
  file_name(sub->add_option("-f,--file", flags->file, "the cluster file"));
  model_name(
      sub->add_option("-m,--model", flags->model, "the model (default: the cluster file's)"));
  sub->add_option("--name", flags->name, "the name of the cluster, if there are several")
      ->capture_default_str();
  sub->add_option("--ssh", flags->ssh, kRemoteShellHelp)->type_name("CMD");
  sub->add_option("--listen", flags->listen,
                  "HOST:PORT at which clients of other machines may call (* is all addresses)");
  sub->add_option("--allow", flags->allow,
                  "the public key of a machine whose clients may (what potluck key shows there); "
                  "once for each")
      ->type_name("KEY")
      ->allow_extra_args(false);
  sub->add_flag("--join", flags->join,
                "let other machines join by potluck join (at TCP port " +
                    std::to_string(kControlPort) + ", or that of --listen)");
  sub->add_flag("--foreground", flags->foreground, "stay, and end with Ctrl-C");
  add_ring_flags(sub, flags->ring);
  sub->option_defaults()->group("Display");
  add_log_flags(sub, flags->log);
  sub->callback([&line, flags] {
    if (flags->join && flags->listen.empty()) flags->listen = "*:" + std::to_string(kControlPort);
    line.chosen = [flags, &line] { return up(*flags, line); };
  });
}

}  // namespace potluck
