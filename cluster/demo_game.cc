#include "cluster/demo_game.h"

#include <utility>

#include "coordinator/chat_template.h"
#include "topology/cost_model.h"

namespace potluck {
namespace {

constexpr int kStages = 3;
constexpr uint64_t kMemoryStep = 256 * 1024;  // limits are the need, rounded up to this

uint64_t limit_for(const MemoryNeed& need) {
  return (need.total() + kMemoryStep - 1) / kMemoryStep * kMemoryStep;
}

// Unlike workers: each has just the memory that its own part needs.
Plan demo_plan(const ModelSource& source) {
  RingOptions options;
  options.stages = kStages;
  options.ctx_size = kDemoContext;
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
  if (game.steps) request.generation.max_steps = game.steps;
  return request;
}

}  // namespace

Game make_game(std::shared_ptr<const ModelSource> source) {
  Tokenizer tokenizer(source->vocabulary());
  Plan plan = demo_plan(*source);
  return {std::move(source), std::move(tokenizer), std::move(plan), 0};
}

Round play(const Game& game, SudokuPuzzle puzzle, uint64_t seed, CanvasView* view) {
  Round round;
  round.puzzle = std::move(puzzle);
  PipelineEvents events;
  if (view) events.step = [view](const StepReport& report) { view->draw(report); };
  const Request request = puzzle_request(game, round.puzzle, seed);
  round.result = answer(game.source, game.plan, 0, request, std::move(events));
  std::vector<int32_t> ids = round.result.ids;
  if (round.result.stopped_by_end_id) ids.pop_back();
  round.verdict = judge(round.puzzle.givens, game.tokenizer.decode(ids, true));
  return round;
}

}  // namespace potluck
