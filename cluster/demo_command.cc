// potluck demo: a ring of unlike workers solves fresh puzzles on screen.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "cluster/commands.h"
#include "cluster/demo_game.h"
#include "cluster/interrupt.h"
#include "cluster/ring_plan.h"
#include "topology/cost_model.h"
#include "topology/fault.h"

namespace potluck {
namespace {

constexpr int kGivensLeast = 12, kGivensMost = 20;

struct Flags {
  int puzzles = 20;
  uint64_t seed = 0;
  bool check = false;
  std::string worker;
  bool insecure_plaintext = false;
};

// One worker that should hold all layers within the largest limit of the ring.
void show_refusal(const std::shared_ptr<const ModelSource>& source) {
  RingOptions options;
  options.ctx_size = kDemoContext;
  options.chunk = source->spec().canvas;
  Plan alone = make_plan(*source, options);
  alone.stages[0].name = "one worker for all layers";
  for (const WorkerPlan& stage : demo_plan(*source, {}).stages)
    alone.stages[0].memory_bytes = std::max(alone.stages[0].memory_bytes, stage.memory_bytes);
  try {
    const Ring ring(source, alone, {});
    std::printf("one worker alone could hold the model; this demo's limits do not bind\n");
  } catch (const Fault& fault) {
    if (fault.kind() != FaultKind::memory) throw;
    std::printf("Alone: refused. %s\n", fault.what());
  }
}

void show_ring(const Plan& plan) {
  std::printf("Together: head → stage 0 → stage 1 → stage 2 → head\n");
  const auto print = [](const WorkerPlan& worker, const std::string& part) {
    std::printf("  %-8s %-12s limit %-8s %d %-8s %s\n", worker.name.c_str(), part.c_str(),
                bytes_text(worker.memory_bytes).c_str(), worker.threads,
                worker.threads == 1 ? "thread" : "threads", worker.endpoint.c_str());
  };
  print(plan.head, "vocabulary");
  for (const WorkerPlan& stage : plan.stages) print(stage, "layers " + range_text(stage.layers));
}

// The answered grid; a broken cell stands in brackets, an altered given in braces.
void show_grid(const Round& round) {
  if (!round.verdict.readable) {
    std::printf("not a grid\n");
    return;
  }
  for (int cell = 0; cell < kSudokuCells; ++cell) {
    const bool broken = round.verdict.broken[cell], altered = round.verdict.altered[cell];
    const char* form = altered ? "{%d}" : broken ? "[%d]" : " %d ";
    std::printf(form, round.verdict.grid[cell]);
    if (cell % kSudokuSize == kSudokuSize - 1) std::printf("\n");
  }
}

void show_result(const Round& round) {
  show_grid(round);
  std::printf("%s in %d steps, %.0f ms\n", round.verdict.solved() ? "Solved" : "NOT solved",
              round.result.steps.at(0), round.result.total_seconds * 1e3);
}

SudokuPuzzle random_puzzle(std::mt19937_64& random) {
  return fresh_puzzle(random_between(kGivensLeast, kGivensMost, random), random);
}

int play_all(Game& game, const Flags& flags) {
  std::mt19937_64 random(flags.seed);
  CanvasView view(game.tokenizer, isatty(STDERR_FILENO), isatty(STDERR_FILENO));
  const SudokuPuzzle puzzle = random_puzzle(random);
  std::printf("\nA puzzle with %d givens:\n%s\n", puzzle.given_count,
              sudoku_text(puzzle.givens).c_str());
  std::fflush(stdout);
  const Round first = play(game, puzzle, flags.seed, isatty(STDERR_FILENO) ? &view : nullptr);
  view.clear();
  show_result(first);
  int solved = first.verdict.solved();
  std::printf("\n%d more:\n", flags.puzzles);
  for (int i = 0; i < flags.puzzles; ++i) {
    const uint64_t seed = flags.seed + 1 + static_cast<uint64_t>(i);
    const Round round = play(game, random_puzzle(random), seed, nullptr);
    solved += round.verdict.solved();
    std::printf("%2d givens, %2d steps: %s\n", round.puzzle.given_count, round.result.steps.at(0),
                round.verdict.solved() ? "solved" : "NOT solved");
    if (!round.verdict.solved()) show_grid(round);
    std::fflush(stdout);
  }
  std::printf("\n%d of %d solved.\n", solved, flags.puzzles + 1);
  return flags.check && solved != flags.puzzles + 1 ? 1 : 0;
}

int run(Flags flags, const ModelPlaces& places, const std::string& program) {
  catch_interrupts();
  const std::shared_ptr<const ModelSource> source = open_model("demo", places);
  if (flags.seed == 0) flags.seed = std::random_device{}();
  std::printf(
      "%s, four worker processes and a coordinator; a model trained only on 6×6 Sudoku.\n"
      "Seed %llu. Each puzzle is new, has one solution, and gets one attempt.\n\n",
      flags.worker.empty() ? "One machine" : "Two machines",
      static_cast<unsigned long long>(flags.seed));
  show_refusal(source);
  Game game(source, program, flags.worker.empty() ? "" : "tcp://" + flags.worker,
            flags.insecure_plaintext);
  show_ring(game.ring.plan());
  return play_all(game, flags);
}

}  // namespace

void add_demo(CommandLine& line) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* sub = line.app.add_subcommand("demo", "a ring of unlike workers solves fresh puzzles");
  sub->add_option("--puzzles", flags->puzzles, "puzzles after the first")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("-s,--seed", flags->seed, "of puzzles and noise (default: random, and printed)");
  sub->add_flag("--check", flags->check, "exit 1 if one was not solved");
  sub->add_option("--worker", flags->worker,
                  "HOST:PORT of `potluck worker -m demo` on another machine: runs the last stage");
  sub->add_flag("--insecure-plaintext", flags->insecure_plaintext,
                "with --worker: listen beyond this machine though links are not encrypted");
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places, program = line.program] {
      return run(*flags, places, program);
    };
  });
}

}  // namespace potluck
