// potluck status: shows the ring that potluck up has started, as it is now.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "cluster/cli/commands.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/json_line.h"
#include "cluster/launch/status_text.h"
#include "cluster/ring/reach_cluster.h"
#include "coordinator/control/ring_messages.h"
#include "topology/base/fault.h"
#include "transport/control/control_client.h"

namespace potluck {
namespace {

constexpr int kNotUp = 1;  // the exit code
constexpr double kStatusSeconds = 10;
constexpr std::chrono::milliseconds kPause(1000), kGlance(50);

struct StatusFlags {
  ReachFlags reach;
  bool json = false, watch = false;
};

int print_status(const StatusFlags& flags, const nlohmann::json& status) {
  const std::string text =
      flags.json ? json_line(status) + "\n" : status_text(status, reach_words(flags.reach));
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  return 0;
}

void pause() {
  const Time end = now() + kPause;
  while (!interrupt_signal() && now() < end) std::this_thread::sleep_for(kGlance);
}

int status(const StatusFlags& flags, const CommandLine& line) {
  if (const auto why = why_not_up(flags.reach, line)) {
    flags.json ? std::puts(json_line({{"up", false}, {"why", *why}}).c_str())
               : std::puts(why->c_str());
    return kNotUp;
  }
  ControlClient client = reach_cluster(flags.reach, line);
  const auto ask = [&client] {
    return client.ask(kStatusVerb, nlohmann::json::object(), kStatusSeconds).body;
  };
  if (!flags.watch) return print_status(flags, ask());
  for (catch_interrupts(); !interrupt_signal(); pause()) try {
      print_status(flags, ask());
    } catch (const Fault& fault) {
      if (fault.kind() != FaultKind::lost || !why_not_up(flags.reach, line)) throw;
      std::fputs("the cluster is down\n", stderr);
      return kNotUp;
    }
  return 0;
}

}  // namespace

void add_status(CommandLine& line) {
  const auto flags = std::make_shared<StatusFlags>();
  CLI::App* sub =
      line.app.add_subcommand("status", "show the ring that potluck up has started, as it is now");
  add_reach_flags(sub, flags->reach);
  sub->add_flag("--watch", flags->watch, "again every second, until Ctrl-C");
  sub->add_flag("--json", flags->json, "print one JSON object (with --watch: one each time)");
  sub->callback([&line, flags] { line.chosen = [flags, &line] { return status(*flags, line); }; });
}

}  // namespace potluck
