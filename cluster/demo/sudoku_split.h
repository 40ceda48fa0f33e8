// The split between the solved grids that a demo model was trained on and those it is tested on, by
// classes of grids that are the same puzzle in disguise (demo/README.md).
#pragma once

#include <string>

#include "cluster/demo/sudoku.h"

namespace potluck {

// The smallest relabelled reading over the grid's symmetries, as digits.
std::string canonical_form(const SudokuGrid& solved);
bool is_test_grid(const SudokuGrid& solved);

}  // namespace potluck
