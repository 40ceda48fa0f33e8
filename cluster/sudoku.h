// 6×6 Sudoku (boxes of 2 rows × 3 columns): fresh puzzles with one solution, the rules, and the
// split between the grids that the demo model was trained on and those it is tested on
// (demo/README.md).
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace potluck {

inline constexpr int kSudokuSize = 6;
inline constexpr int kSudokuCells = kSudokuSize * kSudokuSize;
using SudokuGrid = std::array<int8_t, kSudokuCells>;  // 1..6 row by row; 0: empty

// A whole number in [least, most], the same from the same `random` on every machine.
int random_between(int least, int most, std::mt19937_64& random);

// Six lines of '1'..'6' or '.', each ended by a newline.
std::string sudoku_text(const SudokuGrid& grid);

// How many ways there are to fill the empty cells; counting stops at `limit`.
int count_solutions(SudokuGrid grid, int limit);

// The smallest relabelled reading over the puzzle's symmetries, 36 digits, and which side it is on.
std::string canonical_form(const SudokuGrid& solved);
bool is_test_grid(const SudokuGrid& solved);

struct SudokuPuzzle {
  SudokuGrid givens{};
  int given_count = 0;
};
// A puzzle with exactly one solution, dug out of a random grid of the test side. Where digging
// sticks above `givens` for 50 grids, one more given is allowed. The same `random` gives the same
// puzzle on every machine.
SudokuPuzzle fresh_puzzle(int givens, std::mt19937_64& random);

// An answer by the rules alone: nothing here knows the solution.
struct SudokuVerdict {
  bool readable = false;  // six lines of six digits
  SudokuGrid grid{};
  std::vector<bool> broken;   // cells that repeat a digit in a row, column or box
  std::vector<bool> altered;  // givens that were changed
  bool solved() const;
};
SudokuVerdict judge(const SudokuGrid& givens, const std::string& answer);

}  // namespace potluck
