// The benches: subcommands of `potluck bench`.
#pragma once

#include "cluster/cli/commands.h"

namespace potluck {

void add_bench_demo(CLI::App* bench, CommandLine& line);
void add_bench_step(CLI::App* bench, CommandLine& line);

}  // namespace potluck
