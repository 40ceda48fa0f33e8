// potluck down: ends the coordinator that potluck up left, and with it its workers.
#include <signal.h>

#include <CLI/CLI.hpp>
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
constexpr std::chrono::milliseconds kGlance(20);

bool is_down_by(const RunningCluster& running, Time deadline) {
  while (running.is_up() && now() < deadline) std::this_thread::sleep_for(kGlance);
  return !running.is_up();
}

// A coordinator that does not end is killed; the kernel ends its workers here, and those elsewhere
// end with their stdin.
void end_coordinator(const RunningCluster& running) {
  const auto state = running.read();
  if (!state) throw Fault(FaultKind::world, "the cluster is just being started; try again");
  kill(state->pid, SIGTERM);
  if (is_down_by(running, now() + from_seconds(kGoodbyeSeconds))) return;
  kill(state->pid, SIGKILL);
  if (!is_down_by(running, now() + from_seconds(kGoodbyeSeconds)))
    throw Fault(FaultKind::world,
                "the coordinator (process " + std::to_string(state->pid) + ") does not end");
}

int down(const std::string& name, const CommandLine& line) {
  const RunningCluster running(line.state, name);
  if (!running.is_there()) {
    std::puts(("no cluster \"" + name + "\" is up").c_str());
    return 0;
  }
  const bool was_up = running.is_up();
  if (was_up) end_coordinator(running);
  running.remove();
  std::puts(was_up ? ("\"" + name + "\" is down").c_str()
                   : ("no cluster \"" + name + "\" is up; what one had left is removed").c_str());
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
