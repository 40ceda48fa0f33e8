// One game of the demo: a fresh puzzle through the ring of unlike workers, judged by the rules.
#pragma once

#include <memory>
#include <random>

#include "cluster/canvas_view.h"
#include "cluster/ring.h"
#include "cluster/sudoku.h"
#include "coordinator/tokenizer.h"

namespace potluck {

inline constexpr int kDemoContext = 128;  // 43 tokens of puzzle and a canvas of 48

// Head and three stages, each with just the memory that its own part needs. far: the endpoint of a
// worker on another machine that takes the last stage; empty: all four are started here.
Plan demo_plan(const ModelSource& source, const std::string& far);

struct Game {
  // Loads the ring, as processes of `program`. Throws Fault.
  Game(std::shared_ptr<const ModelSource> model, const std::string& program,
       const std::string& far = {}, bool insecure_plaintext = false);

  std::shared_ptr<const ModelSource> source;
  Tokenizer tokenizer;
  Ring ring;
  int steps = 0;  // at most; 0: the model's own
};

struct Round {
  SudokuPuzzle puzzle;
  SudokuVerdict verdict;
  RequestResult result;
};
// One attempt with the product's sampler. view, if any, draws each step.
Round play(Game& game, SudokuPuzzle puzzle, uint64_t seed, CanvasView* view);

}  // namespace potluck
