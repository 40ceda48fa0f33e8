// Fresh Sudoku puzzles of the test side with one solution.
#pragma once

#include <random>

#include "cluster/demo/sudoku.h"

namespace potluck {

// How many ways there are to fill the empty cells; counting stops at `limit`.
int count_solutions(const SudokuGrid& grid, int limit);

struct SudokuPuzzle {
  SudokuGrid givens;
  int given_count = 0;
};
// A puzzle with exactly one solution, dug out of a random grid of the test side. Where digging
// sticks above `givens` for 50 grids, one more given is allowed. The same `random` gives the same
// puzzle on every machine.
SudokuPuzzle fresh_puzzle(int size, int givens, std::mt19937_64& random);

}  // namespace potluck
