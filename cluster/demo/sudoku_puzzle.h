// Makes fresh Sudoku puzzles with one solution, from grids that no model was trained on.
#pragma once

#include <random>

#include "cluster/demo/sudoku.h"

namespace potluck {

// Counts the ways to fill the empty cells, up to `limit`.
int count_solutions(const SudokuGrid& grid, int limit);

struct SudokuPuzzle {
  SudokuGrid givens;
  int given_count = 0;
};
// Makes a puzzle with exactly one solution, dug out of a random grid of the test side. Each time
// that 50 grids could not be dug down to `givens`, one more given is allowed. The same `random`
// gives the same puzzle on every machine.
SudokuPuzzle fresh_puzzle(int size, int givens, std::mt19937_64& random);

}  // namespace potluck
