// Sudoku of 6×6 (boxes of 2 rows × 3 columns) or 9×9 (3 × 3): grids, their text, and the rules.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace potluck {

inline constexpr int kSudokuSizeMost = 9;
inline constexpr int kSudokuCellsMost = kSudokuSizeMost * kSudokuSizeMost;
inline constexpr int kBoxColumns = 3;  // of both sizes

struct SudokuGrid {
  int size = 0;                                   // 6 or 9
  std::array<int8_t, kSudokuCellsMost> digits{};  // 1..size row by row; 0: empty, or past the grid

  int cells() const { return size * size; }
  int box_rows() const { return size / kBoxColumns; }
  int box_of(int cell) const {
    return cell / size / box_rows() * box_rows() + cell % size / kBoxColumns;
  }
  bool operator==(const SudokuGrid&) const = default;
};

// The grid as `size` lines of digits or '.', each ended by a newline.
std::string sudoku_text(const SudokuGrid& grid);

// The verdict on an answer by the rules alone: nothing here knows the solution.
struct SudokuVerdict {
  bool readable = false;  // `size` lines of digits, and the end token after them
  SudokuGrid grid;
  std::vector<bool> broken;   // cells that repeat a digit in a row, column or box
  std::vector<bool> altered;  // givens that were changed
  bool solved() const;
};
// The answer includes its end token: "123456\n…\n<eos>".
SudokuVerdict judge(const SudokuGrid& givens, const std::string& answer);

}  // namespace potluck
