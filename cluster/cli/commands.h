// The subcommands. Each is defined in NAME_command.cc of its room, where it registers its flags and
// leaves what to do in `chosen` when the person chose it. So main and rooms include no other room.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace CLI {
class App;
}

namespace potluck {

// The environment tells these of the person's wishes and terminal.
struct Surroundings {
  bool no_color = false;       // NO_COLOR is set
  bool dumb_terminal = false;  // TERM names no terminal whose cursor can be moved
};

// The hub that models are fetched from.
struct HubAccess {
  std::string endpoint;  // HF_ENDPOINT, or the one of Hugging Face
  std::string token;     // HF_TOKEN, or the one that `hf auth login` wrote; empty: none
};

struct CommandLine {
  CLI::App& app;
  ModelPlaces places;
  std::string program;  // this executable, to start workers with
  std::string config;   // potluck's folder among the person's settings
  std::string state;    // and that for what runs now, and who was let in; empty: there is none
  std::string cache;    // and among what can be found out again
  Surroundings surroundings;
  HubAccess hub;
  std::function<int()> chosen;  // runs the chosen command and returns the exit code
};

void add_admit(CommandLine& line);
void add_bench(CommandLine& line);
void add_demo(CommandLine& line);
void add_devices(CommandLine& line);
void add_doctor(CommandLine& line);
void add_down(CommandLine& line);
void add_drain(CommandLine& line);
void add_run(CommandLine& line);
void add_inspect(CommandLine& line);
void add_join(CommandLine& line);
void add_key(CommandLine& line);
void add_logs(CommandLine& line);
void add_pull(CommandLine& line);
void add_share(CommandLine& line);
void add_plan(CommandLine& line);
void add_status(CommandLine& line);
void add_leave(CommandLine& line);
void add_token(CommandLine& line);
void add_tokenize(CommandLine& line);
void add_up(CommandLine& line);
void add_verify(CommandLine& line);
void add_worker(CommandLine& line);

// The subcommands of `potluck bench`.
void add_bench_demo(CLI::App* bench, CommandLine& line);
void add_bench_step(CLI::App* bench, CommandLine& line);

}  // namespace potluck
