// Splits the solved grids into those that a demo model was trained on and those it is tested on.
// Grids that are the same puzzle in disguise are on the same side (cluster/demo/README.md).
#pragma once

#include <string>

#include "cluster/demo/sudoku.h"

namespace potluck {

// The smallest reading of the grid, relabelled, over its symmetries, as digits.
std::string canonical_form(const SudokuGrid& solved);
bool is_test_grid(const SudokuGrid& solved);

}  // namespace potluck
