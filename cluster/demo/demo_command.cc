// potluck demo: lets a ring of unlike workers solve fresh puzzles on the screen.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <optional>
#include <random>

#include "cluster/cli/commands.h"
#include "cluster/cli/fault_line.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/interrupt.h"
#include "cluster/demo/demo_game.h"
#include "cluster/demo/device_flag.h"
#include "cluster/demo/grid_flag.h"
#include "cluster/demo/random.h"
#include "cluster/ring/ring_plan.h"
#include "cluster/terminal/display.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"
#include "topology/base/text.h"
#include "topology/model/locator.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

constexpr char kTcp[] = "tcp://";
constexpr char kCpu[] = "cpu";

struct DemoFlags {
  int grid = 6;
  int puzzles = 20;
  std::optional<uint64_t> seed;  // none: a random one
  bool check = false;
  std::vector<std::string> devices;
  std::string worker;
  bool insecure_plaintext = false;
};

// Shows that one worker of the first stage's device cannot hold all layers within the largest limit
// of the ring.
void show_refusal(const std::shared_ptr<const ModelSource>& source, const Plan& ring) {
  RingOptions options = demo_options(source->spec());
  options.devices = {ring.stages[0].device};
  Plan alone = make_plan(*source, options);
  alone.stages[0].name = "one worker for all layers";
  for (const WorkerPlan& stage : ring.stages)
    alone.stages[0].memory_bytes = std::max(alone.stages[0].memory_bytes, stage.memory_bytes);
  try {
    const Ring whole(source, alone, {});
    std::printf("one worker alone could hold the model; this demo's limits do not bind\n");
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::memory) throw;
    std::printf("Alone: refused. %s\n", fault_line(fault).c_str());
  }
}

void show_ring(const Plan& plan) {
  std::printf("Together: head → stage 0 → stage 1 → stage 2 → head\n");
  const auto print = [](const WorkerPlan& worker, const std::string& part) {
    const std::string threads = count_text(worker.threads, "thread");
    std::printf("  %-8s %-12s limit %-8s %-10s %s\n", worker.name.c_str(), part.c_str(),
                bytes_text(worker.memory_bytes).c_str(),
                worker.device == kCpu ? threads.c_str() : worker.device.c_str(),
                worker.endpoint.c_str());
  };
  print(plan.head, "vocabulary");
  for (const WorkerPlan& stage : plan.stages) print(stage, "layers " + range_text(stage.layers));
}

// Prints the answered grid, with broken cells in brackets and altered givens in braces.
void show_grid(const Round& round) {
  if (!round.verdict.readable) {
    std::printf("not a grid\n");
    return;
  }
  const SudokuGrid& grid = round.verdict.grid;
  for (int cell = 0; cell < grid.cells(); ++cell) {
    const bool broken = round.verdict.broken[cell], altered = round.verdict.altered[cell];
    const char* form = altered ? "{%d}" : broken ? "[%d]" : " %d ";
    std::printf(form, grid.digits[cell]);
    if (cell % grid.size == grid.size - 1) std::printf("\n");
  }
}

void show_result(const Round& round) {
  show_grid(round);
  std::printf("%s in %d steps, %.0f ms\n", round.verdict.solved() ? "Solved" : "NOT solved",
              round.result.steps.at(0), round.result.total_seconds * 1e3);
}

SudokuPuzzle random_puzzle(int size, std::mt19937_64& random) {
  const Band band = demo_kind(size).shown;
  return fresh_puzzle(size, random_between(band.least, band.most, random), random);
}

int play_all(Game& game, const DemoFlags& flags, uint64_t seed, const Display& display) {
  std::mt19937_64 random(seed);
  CanvasView view(game.tokenizer, display.color, display.stderr_terminal);
  const SudokuPuzzle puzzle = random_puzzle(flags.grid, random);
  std::printf("\nA puzzle with %d givens:\n%s\n", puzzle.given_count,
              sudoku_text(puzzle.givens).c_str());
  std::fflush(stdout);
  const Round first = play(game, puzzle, seed, display.stderr_terminal ? &view : nullptr);
  view.clear();
  show_result(first);
  int solved = first.verdict.solved();
  std::printf("\n%d more:\n", flags.puzzles);
  for (int i = 0; i < flags.puzzles; ++i) {
    const uint64_t next = seed + 1 + i;
    const Round round = play(game, random_puzzle(flags.grid, random), next, nullptr);
    solved += round.verdict.solved();
    std::printf("%2d givens, %2d steps: %s\n", round.puzzle.given_count, round.result.steps.at(0),
                round.verdict.solved() ? "solved" : "NOT solved");
    if (!round.verdict.solved()) show_grid(round);
    std::fflush(stdout);
  }
  std::printf("\n%d of %d solved.\n", solved, flags.puzzles + 1);
  return flags.check && solved != flags.puzzles + 1 ? 1 : 0;
}

// A worker on another machine, by HOST:PORT=KEY or tcp://HOST:PORT=KEY; nothing if `worker` is
// empty.
struct FarWorker {
  std::string endpoint, key;
};

FarWorker far_worker(const std::string& worker) {
  if (worker.empty()) return {};
  const size_t equals = worker.find('=');
  FarWorker far{worker.substr(0, equals), ""};
  if (equals != std::string::npos) far.key = worker.substr(equals + 1);
  if (far.endpoint.rfind(kTcp, 0) != 0) far.endpoint = kTcp + far.endpoint;
  if (!parse_endpoint(far.endpoint))
    throw Fault(FaultKind::input,
                "--worker " + worker + " is not HOST:PORT=KEY, such as 10.0.0.7:7000=…");
  if (equals != std::string::npos && !is_key(far.key))
    throw Fault(FaultKind::input, "--worker " + worker + " ends with no key",
                Fix{"it must be the " + std::to_string(kKeyDigits) +
                    " digits that potluck key shows on that machine"});
  return far;
}

RingSetup ring_setup(const DemoFlags& flags, const CommandLine& line) {
  RingSetup setup;
  setup.hosts.hosting = Hosting::processes;
  setup.hosts.transport = "zmq";
  setup.hosts.program = line.program;
  setup.hosts.config = line.config;
  setup.hosts.model = demo_kind(flags.grid).model;
  setup.hosts.insecure_plaintext = flags.insecure_plaintext;
  return setup;
}

int run_demo(const DemoFlags& flags, const CommandLine& line) {
  const FarWorker far = far_worker(flags.worker);
  const uint64_t seed = seed_or_random(flags.seed);
  catch_interrupts();
  const DemoKind& kind = demo_kind(flags.grid);
  const std::shared_ptr<const ModelSource> source = open_model(kind.model, line.places);
  const std::vector<std::string> devices = demo_devices(flags.devices);
  std::printf(
      "%s, four worker processes and a coordinator; a model trained only on %d×%d Sudoku.\n"
      "Seed %llu. Each puzzle is new, has one solution, and gets one attempt.\n\n",
      far.endpoint.empty() ? "One machine" : "Two machines", kind.size, kind.size,
      static_cast<unsigned long long>(seed));
  Plan plan = demo_plan(*source, devices, far.endpoint);
  plan.stages.back().key = far.key;
  show_refusal(source, plan);
  Game game(source, plan, ring_setup(flags, line));
  show_ring(game.ring.plan());
  return play_all(game, flags, seed, display_of({}, line.surroundings));
}

}  // namespace

void add_demo(CommandLine& line) {
  const auto flags = std::make_shared<DemoFlags>();
  CLI::App* sub =
      line.app.add_subcommand("demo", "let a ring of unlike workers solve fresh puzzles");
  add_grid_flag(sub, flags->grid);
  add_demo_devices_flag(sub, flags->devices);
  whole_number(sub->add_option("--puzzles", flags->puzzles,
                               "how many puzzles after the first (default: 20)"),
               "N", 0, kMostInt - 1);
  add_seed_flag(sub, flags->seed, "seed of puzzles and noise (default: -1, a random one)");
  sub->add_flag("--check", flags->check, "exit with code 1 if a puzzle was not solved");
  sub->add_option(
         "--worker", flags->worker,
         "a `potluck worker -m demo` (--grid 9: demo9) that runs the last stage, and the key "
         "that `potluck key` shows there")
      ->type_name("HOST:PORT=KEY");
  sub->add_flag("--insecure-plaintext", flags->insecure_plaintext,
                "with --worker HOST:PORT: do not lock the links with it, as it does not");
  sub->callback(
      [&line, flags] { line.chosen = [&line, flags] { return run_demo(*flags, line); }; });
}

}  // namespace potluck
