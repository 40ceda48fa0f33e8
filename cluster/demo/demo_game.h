// Plays the demo: fresh puzzles go through a ring of unlike workers, and the rules judge the
// answers.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "cluster/demo/sudoku_puzzle.h"
#include "cluster/ring/ring.h"
#include "cluster/ring/ring_plan.h"
#include "cluster/terminal/canvas_view.h"
#include "coordinator/text/tokenizer.h"

namespace potluck {

// The fewest and the most givens of a puzzle.
struct Band {
  int least, most;
};

struct DemoKind {
  int size;                   // of the grid
  const char* model;          // its name for -m
  Band shown;                 // `demo` plays puzzles with so many givens
  std::array<Band, 3> bands;  // `bench demo` plays these
};
// size: 6 or 9
const DemoKind& demo_kind(int size);

inline constexpr size_t kDemoStages = 3;

// Head and three stages, each with just the memory that its own part needs. The first device is the
// head's and the first stage's, the next the next stage's, and the last serves all that remain;
// none: cpu. `far` is the endpoint of a worker on another machine that takes the last stage; empty:
// all four are started here.
Plan demo_plan(const ModelSource& source, const std::vector<std::string>& devices,
               const std::string& far = {});

// A context for one puzzle and its answer.
RingOptions demo_options(const ModelSpec& spec);

struct Game {
  // Loads the ring. Throws Fault.
  Game(std::shared_ptr<const ModelSource> model, const Plan& plan, RingSetup setup = {});

  std::shared_ptr<const ModelSource> source;
  Tokenizer tokenizer;
  Ring ring;
  int steps = 0;  // the most of a puzzle; 0: the model's own
};

struct Round {
  SudokuPuzzle puzzle;
  SudokuVerdict verdict;
  RequestResult result;
};
// Makes one attempt, and draws each step if there is a view.
Round play(Game& game, SudokuPuzzle puzzle, uint64_t seed, CanvasView* view);

}  // namespace potluck
