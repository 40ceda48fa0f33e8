// Makes the demo's plan, and plays a puzzle over its ring.
#include "cluster/demo/demo_game.h"

#include <utility>

#include "coordinator/text/chat_template.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

constexpr DemoKind kKinds[] = {{6, "demo", {12, 20}, {{{8, 11}, {12, 17}, {18, 33}}}},
                               {9, "demo9", {36, 50}, {{{24, 30}, {31, 39}, {40, 77}}}}};
// The layers of each stage, in unlike shares.
constexpr std::array<int, kDemoStages> kSplit = {1, 2, 3};
// Limits are needs, rounded up to a multiple of this.
constexpr uint64_t kMemoryStep = 256 * 1024;

uint64_t limit_for(const MemoryNeed& need) {
  return (need.total() + kMemoryStep - 1) / kMemoryStep * kMemoryStep;
}

Request puzzle_request(const Game& game, const SudokuPuzzle& puzzle, uint64_t seed) {
  const ModelSpec& spec = game.source->spec();
  Request request;
  request.prompt = raw_prompt(game.tokenizer, sudoku_text(puzzle.givens), spec.generation);
  request.max_tokens = spec.canvas;
  request.seed = seed;
  request.generation = spec.generation;
  if (game.steps) request.generation.max_steps = game.steps;
  return request;
}

}  // namespace

const DemoKind& demo_kind(int size) {
  return kKinds[size == 9];
}

// A puzzle has as many characters as its answer, fewer than a canvas holds.
RingOptions demo_options(const ModelSpec& spec) {
  RingOptions options;
  options.ctx_size = 2 * spec.canvas;
  options.chunk = spec.canvas;
  return options;
}

Plan demo_plan(const ModelSource& source, const std::vector<std::string>& devices,
               const std::string& far) {
  RingOptions options = demo_options(source.spec());
  options.split.assign(kSplit.begin(), kSplit.end());
  options.devices = devices;
  if (!devices.empty()) options.devices.resize(kDemoStages, devices.back());
  if (!far.empty() && devices.size() < kDemoStages && !devices.empty())
    options.devices.back() = "cpu";  // the far worker's own, unless it is named
  Plan plan = make_plan(source, options);
  plan.head.threads = 1;
  plan.head.memory_bytes = limit_for(head_need(source, plan));
  for (int i = 0; i < plan.stage_count(); ++i) {
    WorkerPlan& stage = plan.stages[static_cast<size_t>(i)];
    stage.threads = i % 2 + 1;
    stage.memory_bytes = limit_for(stage_need(source, plan, i));
  }
  if (far.empty()) return plan;
  plan.stages.back().local = false;
  plan.stages.back().endpoint = far;
  return plan;
}

Game::Game(std::shared_ptr<const ModelSource> model, const Plan& plan, RingSetup setup)
    : source(std::move(model)),
      tokenizer(source->vocabulary()),
      ring(source, plan, std::move(setup)) {}

Round play(Game& game, SudokuPuzzle puzzle, uint64_t seed, CanvasView* view) {
  Round round;
  round.puzzle = std::move(puzzle);
  RequestEvents events;
  if (view) events.step = [view](const StepReport& report) { view->draw(report); };
  const Request request = puzzle_request(game, round.puzzle, seed);
  round.result = game.ring.ask(request, std::move(events));
  round.verdict = judge(round.puzzle.givens, game.tokenizer.decode(round.result.ids));
  return round;
}

}  // namespace potluck
