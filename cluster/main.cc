// potluck is one program with subcommands. main reads the environment, and turns faults into lines
// and exit codes.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "cluster/cli/commands.h"
#include "cluster/cli/fault_line.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/machine.h"
#include "cluster/cli/usage.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/base/version.h"
#include "topology/model/locator.h"

namespace {

constexpr int kBadUsage = 2;
constexpr int kBroken = 3;
const potluck::Time kStart = potluck::now();  // of this process

// The demo models are in ../share beside the program; a build has a link to them there.
std::string demo_models() {
  std::error_code none;
  auto program = std::filesystem::read_symlink("/proc/self/exe", none);
  if (none) program = std::filesystem::canonical(potluck::own_program(), none);
  return program.parent_path().parent_path() / "share/potluck/demo";
}

// Nothing below main reads the environment.
std::string hf_home() {
  const char* hf_home = std::getenv("HF_HOME");
  if (hf_home && *hf_home) return hf_home;
  const char* caches = std::getenv("XDG_CACHE_HOME");
  if (caches && *caches == '/') return std::string(caches) + "/huggingface";
  const char* home = std::getenv("HOME");
  return std::string(home ? home : ".") + "/.cache/huggingface";
}

potluck::ModelPlaces model_places() {
  const char* hub = std::getenv("HF_HUB_CACHE");
  potluck::ModelPlaces places;
  places.hub = hub && *hub ? hub : hf_home() + "/hub";
  places.demos = demo_models();
  return places;
}

potluck::HubAccess hub_access() {
  const char* endpoint = std::getenv("HF_ENDPOINT");
  const char* token = std::getenv("HF_TOKEN");
  const char* token_path = std::getenv("HF_TOKEN_PATH");
  potluck::HubAccess access{endpoint && *endpoint ? endpoint : "https://huggingface.co",
                            token ? token : ""};
  while (access.endpoint.ends_with('/')) access.endpoint.pop_back();
  if (!token) std::ifstream(token_path ? token_path : hf_home() + "/token") >> access.token;
  return access;
}

// A variable such as $XDG_CONFIG_HOME counts where it is an absolute path, as its specification has
// it; otherwise it is a folder of $HOME.
std::string own_folder(const char* variable, const std::string& in_home) {
  const char* place = std::getenv(variable);
  if (place && *place == '/') return std::string(place) + "/potluck";
  const char* home = std::getenv("HOME");
  return home && *home ? home + ("/" + in_home + "/potluck") : "";
}

bool wants_no_color() {
  const char* value = std::getenv("NO_COLOR");
  return value && *value;
}

bool dumb_terminal() {
  const char* value = std::getenv("TERM");
  return !value || !*value || std::strcmp(value, "dumb") == 0;
}

// A file or socket that is opened next would take the place of a stream that is closed, and would
// get what is meant for that one. What takes it can neither be read nor written.
void fill_closed_streams() {
  int fd = open("/dev/null", O_PATH);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_PATH);
  if (fd >= 0) close(fd);
}

// Throws Fault{world} if the output could not be written.
void flush_stdout() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout))
    throw potluck::Fault(potluck::FaultKind::world,
                         "stdout could not be written; is the disk full?");
}

// Every rank of an MPI job may fail for the same reason: the lowest says so, and its end ends the
// others before it is their turn. How long that takes goes with how long this rank took to fail.
void let_lower_ranks_speak() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (!rank || std::atoi(rank) == 0) return;
  std::signal(SIGTERM, SIG_DFL);
  constexpr std::chrono::milliseconds kEnd(1500), kTurn(50), kMost(30'000);
  const potluck::Duration took = potluck::now() - kStart;
  std::this_thread::sleep_for(kEnd + kTurn * std::atoi(rank) +
                              std::min<potluck::Duration>(4 * took, kMost));
}

int run(int argc, char** argv) {
  CLI::App app("potluck runs DiffusionGemma across whatever machines you have", "potluck");
  app.set_version_flag("--version", potluck::kSoftware);
  app.require_subcommand(1);
  potluck::CommandLine line{app,
                            model_places(),
                            potluck::own_program(),
                            own_folder("XDG_CONFIG_HOME", ".config"),
                            own_folder("XDG_STATE_HOME", ".local/state"),
                            own_folder("XDG_CACHE_HOME", ".cache"),
                            {wants_no_color(), dumb_terminal()},
                            hub_access(),
                            {}};
  potluck::add_admit(line);
  potluck::add_bench(line);
  potluck::add_demo(line);
  potluck::add_devices(line);
  potluck::add_doctor(line);
  potluck::add_down(line);
  potluck::add_drain(line);
  potluck::add_run(line);
  potluck::add_inspect(line);
  potluck::add_join(line);
  potluck::add_key(line);
  potluck::add_logs(line);
  potluck::add_pull(line);
  potluck::add_share(line);
  potluck::add_plan(line);
  potluck::add_status(line);
  potluck::add_leave(line);
  potluck::add_token(line);
  potluck::add_tokenize(line);
  potluck::add_up(line);
  potluck::add_verify(line);
  potluck::add_worker(line);
  for (CLI::App* command : app.get_subcommands({}))
    command->set_version_flag("--version", potluck::kSoftware);
  try {
    app.parse(potluck::command_words(argc, argv));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      let_lower_ranks_speak();
      std::fprintf(stderr, "%s\n", potluck::one_line(potluck::usage_line(app, error)).c_str());
      return kBadUsage;
    }
    app.exit(error);  // prints --help or --version
    flush_stdout();
    return 0;
  }
  potluck::raise_descriptor_limit();
  potluck::catch_cut_files();
  const int code = line.chosen();
  flush_stdout();
  const bool closed = potluck::interrupt_signal() == SIGHUP;  // others say 0 for a TERM
  return code == 0 && closed ? 128 + SIGHUP : code;
}

}  // namespace

int main(int argc, char** argv) {
  fill_closed_streams();
  std::signal(SIGPIPE, SIG_DFL);        // a closed pipe ends us quietly
  std::signal(SIGXFSZ, SIG_IGN);        // a file that may not grow is told as any failed write
  std::setlocale(LC_CTYPE, "C.UTF-8");  // for widths of characters and editing; the text is UTF-8
  try {
    return run(argc, argv);
  } catch (const potluck::Fault& fault) {
    let_lower_ranks_speak();
    std::fprintf(stderr, "potluck: %s\n", potluck::fault_line(fault).c_str());
    const int signal = potluck::interrupt_signal();
    return signal ? 128 + signal : potluck::exit_code(fault.kind());
  } catch (const std::exception& error) {
    let_lower_ranks_speak();
    std::fprintf(stderr, "potluck: %s\n", potluck::one_line(error.what()).c_str());
    return kBroken;
  }
}
