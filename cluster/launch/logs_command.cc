// potluck logs: shows what the coordinator and the workers of a cluster have to say.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cluster/cli/commands.h"
#include "cluster/launch/status_text.h"
#include "cluster/ring/reach_cluster.h"
#include "coordinator/control/ring_messages.h"
#include "coordinator/control/running_cluster.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/json_text.h"
#include "topology/plan/plan.h"
#include "transport/control/control_client.h"

namespace potluck {
namespace {

constexpr double kLogsSeconds = 10;

struct LogsFlags {
  ReachFlags reach;
  std::string of;  // a worker, a host, or the coordinator
};

std::string coordinator_log(const LogsFlags& flags, const CommandLine& line) {
  std::ifstream file(RunningCluster(line.state, flags.reach.name).log());
  if (!file)
    throw Fault(FaultKind::input, why_not_up(flags.reach, line).value_or("there is no log yet"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void print_log(const std::string& name, const std::string& text) {
  std::printf("== %s\n", harmless(name).c_str());
  std::istringstream lines(text);
  for (std::string each; std::getline(lines, each);) std::puts(harmless(each).c_str());
}

struct Shown {
  int logs = 0;
  int elsewhere = 0;  // workers whose logs are not here
};

// The workers of that name or on that host; all of them if none is named.
Shown print_workers(const LogsFlags& flags, const CommandLine& line) {
  ControlClient client = reach_cluster(flags.reach, line);
  const auto ask = [&client](const char* verb) {
    return client.ask(verb, nlohmann::json::object(), kLogsSeconds).body;
  };
  const nlohmann::json status = ask(kStatusVerb), logs = ask(kLogsVerb);
  const JsonFields texts = JsonFields(logs, "the logs of a ring").object("logs");
  Shown shown;
  for (const char* list : {"workers", "beside", "guests"}) {
    if (!status.contains(list)) continue;
    for (const nlohmann::json& each : status.at(list)) {
      const JsonFields worker(each, "the status of a ring");
      const std::string name = worker.text("name"), host = worker.text("host");
      const bool wanted =
          flags.of.empty() || flags.of == name || flags.of == (host.empty() ? kHere : host);
      if (!wanted) continue;
      ++(texts.has(name) ? shown.logs : shown.elsewhere);
      if (texts.has(name)) print_log(name, texts.text(name));
    }
  }
  return shown;
}

int logs(const LogsFlags& flags, const CommandLine& line) {
  const bool all = flags.of.empty();
  if (flags.reach.connect.empty() && (all || flags.of == kCoordinatorName))
    print_log(kCoordinatorName, coordinator_log(flags, line));
  if (flags.of == kCoordinatorName) return 0;
  if (const auto why = why_not_up(flags.reach, line)) {
    if (all) return 0;  // what is left of it has been shown
    throw Fault(FaultKind::input, *why);
  }
  const Shown shown = print_workers(flags, line);
  if (all || shown.logs > 0) return 0;
  if (shown.elsewhere > 0)
    throw Fault(FaultKind::input,
                "\"" + flags.of + "\" was not started from here, so its log is on its own machine",
                Fix{"look there at what potluck join or potluck worker prints"});
  throw Fault(FaultKind::input,
              "\"" + flags.of + "\" is no worker that was started here, and no host of one",
              Fix{"potluck status shows them"});
}

}  // namespace

void add_logs(CommandLine& line) {
  const auto flags = std::make_shared<LogsFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "logs", "show the logs of the coordinator and the workers that potluck up has started");
  sub->add_option("of", flags->of, "a worker, a host, or \"coordinator\" (default: all)")
      ->type_name("HOST");
  add_reach_flags(sub, flags->reach);
  sub->callback([&line, flags] { line.chosen = [flags, &line] { return logs(*flags, line); }; });
}

}  // namespace potluck
