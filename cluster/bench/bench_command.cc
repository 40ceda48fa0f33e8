// potluck bench: the command that holds the benches; each bench registers itself below it.
#include <CLI/CLI.hpp>

#include "cluster/cli/commands.h"

namespace potluck {

void add_bench(CommandLine& line) {
  CLI::App* bench =
      line.app.add_subcommand("bench", "measure how well it answers, and how fast it computes");
  bench->require_subcommand(1);
  add_bench_demo(bench, line);
  add_bench_step(bench, line);
}

}  // namespace potluck
