// Registers --grid for `demo` and `bench demo`.
#include "cluster/demo/grid_flag.h"

#include <CLI/CLI.hpp>

#include "cluster/cli/flag_checks.h"

namespace potluck {

void add_grid_flag(CLI::App* command, int& size) {
  one_of(command->add_option("--grid", size, "lines of the puzzles (default: 6)"), {"6", "9"});
}

}  // namespace potluck
