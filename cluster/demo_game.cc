#include "cluster/demo_game.h"

#include <utility>

#include "cluster/ring_plan.h"
#include "coordinator/chat_template.h"
#include "topology/cost_model.h"

namespace potluck {
namespace {

// Layers of each stage: unlike shares.
const std::vector<int> kSplit = {1, 2, 3};
// Limits are the need, rounded up to this.
constexpr uint64_t kMemoryStep = 256 * 1024;

uint64_t limit_for(const MemoryNeed& need) {
  return (need.total() + kMemoryStep - 1) / kMemoryStep * kMemoryStep;
}

RingSetup demo_setup(const std::string& program, bool insecure_plaintext) {
  RingSetup setup;
  setup.hosting = Hosting::processes;
  setup.program = program;
  setup.model = "demo";
  setup.insecure_plaintext = insecure_plaintext;
  return setup;
}

Request puzzle_request(const Game& game, const SudokuPuzzle& puzzle, uint64_t seed) {
  const ModelSpec& spec = game.source->spec();
  Request request;
  request.prompt = raw_prompt(game.tokenizer, sudoku_text(puzzle.givens), spec.generation.bos_id);
  request.max_tokens = spec.canvas;
  request.noise.seed = seed;
  request.generation = spec.generation;
  if (game.steps) request.generation.max_steps = game.steps;
  return request;
}

}  // namespace

Plan demo_plan(const ModelSource& source, const std::string& far) {
  RingOptions options;
  options.split = kSplit;
  options.ctx_size = kDemoContext;
  options.chunk = source.spec().canvas;
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

Game::Game(std::shared_ptr<const ModelSource> model, const std::string& program,
           const std::string& far, bool insecure_plaintext)
    : source(std::move(model)),
      tokenizer(source->vocabulary()),
      ring(source, demo_plan(*source, far), demo_setup(program, insecure_plaintext)) {}

Round play(Game& game, SudokuPuzzle puzzle, uint64_t seed, CanvasView* view) {
  Round round;
  round.puzzle = std::move(puzzle);
  PipelineEvents events;
  if (view) events.step = [view](const StepReport& report) { view->draw(report); };
  const Request request = puzzle_request(game, round.puzzle, seed);
  round.result = game.ring.ask(request, std::move(events));
  std::vector<int32_t> ids = round.result.ids;
  if (round.result.stopped_by_end_id) ids.pop_back();
  round.verdict = judge(round.puzzle.givens, game.tokenizer.decode(ids, true));
  return round;
}

}  // namespace potluck
