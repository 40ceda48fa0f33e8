// potluck drain: has the ring do without a machine, and takes it back in.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/ring/reach_cluster.h"
#include "cluster/ring/remote_shell.h"
#include "coordinator/control/ring_messages.h"
#include "topology/base/utf8.h"
#include "topology/model/json_text.h"
#include "topology/plan/remaining_plan.h"
#include "transport/control/control_client.h"

namespace potluck {
namespace {

constexpr int kNotDone = 1;  // the exit code
// A slow ring commits its canvas first, and then another ring is loaded.
constexpr double kDrainSeconds = 3600;

struct DrainFlags {
  ReachFlags reach;
  std::string host;
  bool end = false;
};

int drain(const DrainFlags& flags, const CommandLine& line) {
  ControlClient client = reach_cluster(flags.reach, line);
  const nlohmann::json reply =
      client.ask(kDrainVerb, {{"host", flags.host}, {"end", flags.end}}, kDrainSeconds).body;
  const JsonFields fields(reply, kCoordinatorAnswer);
  const std::string host = one_line(flags.host), ring = one_line(fields.text("ring"));
  if (fields.at("done") != true) {
    std::fprintf(stderr, "potluck: nothing has changed: %s; the ring is %s\n",
                 one_line(fields.text("why")).c_str(), ring.c_str());
    return kNotDone;
  }
  if (flags.end)
    std::printf(
        "\"%s\" may take part again, where that pays: %s of a step's time, or let a spare go; "
        "potluck status%s says why it has no part\n",
        host.c_str(), must_save_text().c_str(), reach_words(flags.reach).c_str());
  else
    std::printf("\"%s\" is drained; take it back: potluck drain %s --end%s\n", host.c_str(),
                shell_word(host).c_str(), reach_words(flags.reach).c_str());
  std::printf("the ring is %s\n", ring.c_str());
  return 0;
}

}  // namespace

void add_drain(CommandLine& line) {
  const auto flags = std::make_shared<DrainFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "drain", "have a cluster do without a machine from its next canvas on, or take it back");
  sub->add_option("HOST", flags->host,
                  "a machine, or a worker of the coordinator's, as potluck status names them")
      ->required();
  sub->add_flag("--end", flags->end, "take it back in");
  add_reach_flags(sub, flags->reach);
  sub->callback([&line, flags] { line.chosen = [flags, &line] { return drain(*flags, line); }; });
}

}  // namespace potluck
