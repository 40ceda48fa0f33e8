// The subcommands: each registers its flags and, when chosen, leaves what to do in `chosen`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

struct CommandLine {
  CLI::App& app;
  ModelPlaces places;
  std::string program;          // this executable, to start workers with
  bool no_color = false;        // NO_COLOR is set
  bool dumb_terminal = false;   // TERM has no cursor that can be moved
  std::function<int()> chosen;  // the exit code
};

void add_bench(CommandLine& line);
void add_demo(CommandLine& line);
void add_run(CommandLine& line);
void add_inspect(CommandLine& line);
void add_tokenize(CommandLine& line);
void add_verify(CommandLine& line);
void add_worker(CommandLine& line);

}  // namespace potluck
