// potluck down: ends the coordinator that potluck up left, and with it its workers.
#include <sys/types.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "cluster/cli/commands.h"
#include "coordinator/control/running_cluster.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr double kGoodbyeSeconds = 15;  // workers of other hosts have 4 of them
constexpr std::chrono::milliseconds kExitGlance(20);

// Another one may be started in its place at once.
bool is_over_by(const RunningCluster& running, pid_t process, Time deadline) {
  const auto lives = [&] {
    const pid_t owner = running.owner();
    return running.is_up() && (owner == 0 || owner == process);
  };
  while (lives() && now() < deadline) std::this_thread::sleep_for(kExitGlance);
  return !lives();
}

// A coordinator that does not end is killed; the kernel ends its workers here, and those elsewhere
// end with their stdin.
void end_coordinator(const RunningCluster& running) {
  const pid_t process = running.owner();
  if (!running.signal_owner(SIGTERM)) {
    if (!running.is_up()) return;
    throw Fault(FaultKind::world, "the cluster is just being started; try again");
  }
  if (is_over_by(running, process, now() + from_seconds(kGoodbyeSeconds))) return;
  if (running.owner() == process) running.signal_owner(SIGKILL);
  if (!is_over_by(running, process, now() + from_seconds(kGoodbyeSeconds)))
    throw Fault(FaultKind::world,
                "the coordinator (process " + std::to_string(process) + ") does not end");
}

int down(const std::string& name, const CommandLine& line) {
  RunningCluster running(line.state, name);
  if (!running.is_there()) {
    std::puts(("no cluster \"" + name + "\" is up").c_str());
    return 0;
  }
  const bool was_up = running.is_up();
  if (was_up) end_coordinator(running);
  const bool removed = running.remove_left();
  std::puts(was_up    ? ("\"" + name + "\" is down").c_str()
            : removed ? ("no cluster \"" + name + "\" is up; what one had left is removed").c_str()
                      : ("the cluster \"" + name + "\" is just being started").c_str());
  return 0;
}

}  // namespace

void add_down(CommandLine& line) {
  const auto name = std::make_shared<std::string>(kClusterName);
  CLI::App* sub = line.app.add_subcommand("down", "end what potluck up has started");
  sub->add_option("--name", *name, "which cluster, if there are several")->capture_default_str();
  sub->callback([&line, name] { line.chosen = [name, &line] { return down(*name, line); }; });
}

}  // namespace potluck
