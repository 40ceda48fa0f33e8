// One game of the demo: a fresh puzzle through the ring of unlike workers, judged by the rules.
#pragma once

#include <memory>
#include <random>

#include "cluster/answer.h"
#include "cluster/canvas_view.h"
#include "cluster/sudoku.h"
#include "coordinator/tokenizer.h"

namespace potluck {

inline constexpr int kDemoContext = 128;  // 43 tokens of puzzle and a canvas of 48

struct Game {
  std::shared_ptr<const ModelSource> source;
  Tokenizer tokenizer;
  Plan plan;      // head and three stages, each with just the memory that its own part needs
  int steps = 0;  // at most; 0: the model's own
};
Game make_game(std::shared_ptr<const ModelSource> source);

struct Round {
  SudokuPuzzle puzzle;
  SudokuVerdict verdict;
  RequestResult result;
};
// One attempt with the product's sampler. view, if any, draws each step.
Round play(const Game& game, SudokuPuzzle puzzle, uint64_t seed, CanvasView* view);

}  // namespace potluck
