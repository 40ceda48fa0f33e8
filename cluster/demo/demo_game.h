// One game of the demo: a fresh puzzle through the ring of unlike workers, judged by the rules.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "cluster/demo/sudoku_puzzle.h"
#include "cluster/ring/ring.h"
#include "cluster/ring/ring_plan.h"
#include "cluster/terminal/canvas_view.h"
#include "coordinator/text/tokenizer.h"

namespace potluck {

// Givens of a puzzle, both included.
struct Band {
  int least, most;
};

struct DemoKind {
  int size;                   // of the grid
  const char* model;          // what -m calls the model
  Band shown;                 // what `demo` plays
  std::array<Band, 3> bands;  // what `bench demo` plays
};
// size: 6 or 9
const DemoKind& demo_kind(int size);

// Head and three stages, each with just the memory that its own part needs. far: the endpoint of a
// worker on another machine that takes the last stage; empty: all four are started here.
Plan demo_plan(const ModelSource& source, const std::string& far = {});

// For one puzzle and its answer.
RingOptions demo_options(const ModelSpec& spec);

struct Game {
  // Loads the ring. Throws Fault.
  Game(std::shared_ptr<const ModelSource> model, const Plan& plan, RingSetup setup = {});

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
