// potluck admit: a person lets in machines that show the same six words as this screen.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/ring/reach_cluster.h"
#include "coordinator/control/running_cluster.h"
#include "coordinator/membership/guest_verbs.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/json_text.h"
#include "transport/control/control_client.h"

namespace potluck {
namespace {

constexpr double kAskSeconds = 10;

bool says_yes() {
  std::fputs("Does that machine show the same six words? [y/N] ", stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// A coordinator that is being started, or waits for machines, takes calls as soon as it can.
ControlClient called(const std::string& cluster, const CommandLine& line) {
  const ReachFlags reach{cluster, "", ""};
  if (!RunningCluster(line.state, cluster).is_up()) return reach_cluster(reach, line);
  return {address_of(reach, line), keys_of(line)};
}

ControlMessage waiting_machines(ControlClient& client, const std::string& cluster,
                                const CommandLine& line) {
  try {
    return client.ask(kWaitingVerb, nlohmann::json::object(), kAskSeconds);
  } catch (const Fault& fault) {
    const auto why = why_not_up({cluster, "", ""}, line);
    if (fault.kind() == FaultKind::lost && why) throw Fault(FaultKind::input, *why);
    throw;
  }
}

int run_admit(const std::string& cluster, const CommandLine& line) {
  ControlClient client = called(cluster, line);
  const ControlMessage reply = waiting_machines(client, cluster, line);
  const auto& waiting = JsonFields(reply.body, kCoordinatorAnswer).at("waiting");
  if (waiting.empty()) {
    std::fputs("no machine waits to be let in\n", stderr);
    return 1;
  }
  for (const auto& each : waiting) {
    const JsonFields fields(each, kCoordinatorAnswer);
    std::printf("%s  shows  %s\n", one_line(fields.text("name")).c_str(),
                one_line(fields.text("words")).c_str());
    std::fflush(stdout);
    if (!isatty(STDIN_FILENO)) continue;
    client.ask(kAnswerVerb, {{"key", fields.text("key")}, {"yes", says_yes()}}, kAskSeconds);
  }
  return 0;
}

}  // namespace

void add_admit(CommandLine& line) {
  CLI::App* sub = line.app.add_subcommand(
      "admit", "let in machines that join without a token and show the same words as this screen");
  const auto name = std::make_shared<std::string>(kClusterName);
  sub->add_option("--name", *name, "the name of the cluster, if there are several")
      ->capture_default_str();
  sub->callback([&line, name] { line.chosen = [&line, name] { return run_admit(*name, line); }; });
}

}  // namespace potluck
