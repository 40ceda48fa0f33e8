// potluck demo: a ring of unlike workers solves fresh puzzles on screen.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "cluster/answer.h"
#include "cluster/canvas_view.h"
#include "cluster/commands.h"
#include "cluster/sudoku.h"
#include "coordinator/chat_template.h"
#include "coordinator/tokenizer.h"
#include "topology/cost_model.h"
#include "topology/fault.h"

namespace potluck {
namespace {

constexpr int kStages = 3;
constexpr int kContext = 128;  // 43 tokens of puzzle and a canvas of 48
constexpr int kGivensLeast = 12, kGivensMost = 20;
constexpr uint64_t kMemoryStep = 256 * 1024;  // limits are the need, rounded up to this

struct Flags {
  int puzzles = 20;
  uint64_t seed = 0;
  bool check = false;
};

struct Game {
  std::shared_ptr<const ModelSource> source;
  Tokenizer tokenizer;
  Plan plan;
};

uint64_t limit_for(const MemoryNeed& need) {
  return (need.total() + kMemoryStep - 1) / kMemoryStep * kMemoryStep;
}

// Unlike workers: each has just the memory that its own part needs.
Plan demo_plan(const ModelSource& source) {
  RingOptions options;
  options.stages = kStages;
  options.ctx_size = kContext;
  options.chunk = source.spec().canvas;
  Plan plan = make_plan(source, options);
  plan.head.threads = 1;
  plan.head.memory_bytes = limit_for(head_need(source, plan));
  for (int i = 0; i < kStages; ++i) {
    WorkerPlan& stage = plan.stages[static_cast<size_t>(i)];
    stage.threads = i % 2 + 1;
    stage.memory_bytes = limit_for(stage_need(source, plan, i));
  }
  return plan;
}

Request puzzle_request(const Game& game, const SudokuPuzzle& puzzle, uint64_t seed) {
  const ModelSpec& spec = game.source->spec();
  Request request;
  request.prompt = raw_prompt(game.tokenizer, sudoku_text(puzzle.givens), spec.generation.bos_id);
  request.max_tokens = spec.canvas;
  request.noise.seed = seed;
  request.generation = spec.generation;
  return request;
}

// One worker that should hold all layers within the largest limit of the ring.
void show_refusal(const Game& game) {
  RingOptions options;
  options.ctx_size = kContext;
  options.chunk = game.source->spec().canvas;
  Plan alone = make_plan(*game.source, options);
  alone.stages[0].name = "one worker for all layers";
  for (const WorkerPlan& stage : game.plan.stages)
    alone.stages[0].memory_bytes = std::max(alone.stages[0].memory_bytes, stage.memory_bytes);
  try {
    Request request;
    request.prompt = {game.source->spec().generation.bos_id};
    answer(game.source, alone, 1, request, {});
    std::printf("one worker alone could hold the model; this demo's limits do not bind\n");
  } catch (const Fault& fault) {
    std::printf("Alone: refused. %s\n", fault.text().c_str());
  }
}

void show_ring(const Game& game) {
  std::printf("Together: head → stage 0 → stage 1 → stage 2 → head\n");
  const auto print = [](const WorkerPlan& worker, const std::string& part) {
    std::printf("  %-8s %-13s limit %-8s %d %s\n", worker.name.c_str(), part.c_str(),
                bytes_text(worker.memory_bytes).c_str(), worker.threads,
                worker.threads == 1 ? "thread" : "threads");
  };
  print(game.plan.head, "vocabulary");
  for (const WorkerPlan& stage : game.plan.stages)
    print(stage,
          "layers " + std::to_string(stage.layers.begin) + ":" + std::to_string(stage.layers.end));
}

struct Round {
  SudokuPuzzle puzzle;
  SudokuVerdict verdict;
  RequestResult result;
};

Round play(const Game& game, uint64_t seed, std::mt19937_64& random, CanvasView* view) {
  Round round;
  std::uniform_int_distribution<int> givens(kGivensLeast, kGivensMost);
  round.puzzle = fresh_puzzle(givens(random), random);
  PipelineEvents events;
  if (view) {
    std::printf("\nA puzzle with %d givens:\n%s\n", round.puzzle.given_count,
                sudoku_text(round.puzzle.givens).c_str());
    std::fflush(stdout);
    events.step = [view](const StepReport& report) { view->draw(report); };
  }
  const Request request = puzzle_request(game, round.puzzle, seed);
  round.result = answer(game.source, game.plan, 0, request, std::move(events));
  if (view) view->clear();
  std::vector<int32_t> ids = round.result.ids;
  if (round.result.stopped_by_end_id) ids.pop_back();
  round.verdict = judge(round.puzzle.givens, game.tokenizer.decode(ids, true));
  return round;
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

int play_all(const Game& game, const Flags& flags) {
  std::mt19937_64 random(flags.seed);
  CanvasView view(game.tokenizer, isatty(STDERR_FILENO), isatty(STDERR_FILENO));
  const Round first = play(game, flags.seed, random, isatty(STDERR_FILENO) ? &view : nullptr);
  show_result(first);
  int solved = first.verdict.solved();
  std::printf("\n%d more:\n", flags.puzzles);
  for (int i = 0; i < flags.puzzles; ++i) {
    const Round round = play(game, flags.seed + 1 + static_cast<uint64_t>(i), random, nullptr);
    solved += round.verdict.solved();
    std::printf("%2d givens, %2d steps: %s\n", round.puzzle.given_count, round.result.steps.at(0),
                round.verdict.solved() ? "solved" : "NOT solved");
    if (!round.verdict.solved()) show_grid(round);
    std::fflush(stdout);
  }
  std::printf("\n%d of %d solved.\n", solved, flags.puzzles + 1);
  return flags.check && solved != flags.puzzles + 1 ? 1 : 0;
}

int run(Flags flags, const ModelPlaces& places) {
  const std::shared_ptr<const ModelSource> source = open_model("demo", places);
  const Game game{source, Tokenizer(source->vocabulary()), demo_plan(*source)};
  if (flags.seed == 0) flags.seed = std::random_device{}();
  std::printf(
      "One machine, one process, four workers in threads; a model trained only on 6×6 Sudoku.\n"
      "Seed %llu. Each puzzle is new, has one solution, and gets one attempt.\n\n",
      static_cast<unsigned long long>(flags.seed));
  show_refusal(game);
  show_ring(game);
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
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places] { return run(*flags, places); };
  });
}

}  // namespace potluck
