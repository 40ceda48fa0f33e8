// Reads a grid from an answer and judges it by the rules.
#include "cluster/demo/sudoku.h"

#include <algorithm>
#include <optional>

namespace potluck {
namespace {

constexpr char kEnd[] = "<eos>";

// Reads the grid that an answer shows; none if it shows none.
std::optional<SudokuGrid> read_grid(const std::string& answer, int size) {
  const int line = size + 1;
  const size_t characters = size * line;
  if (answer.size() < characters || answer.substr(characters) != kEnd) return std::nullopt;
  SudokuGrid grid{size};
  for (int i = 0; i < size * line; ++i) {
    const char c = answer[i];
    const bool line_ends = i % line == size;
    if (line_ends ? c != '\n' : c < '1' || c > '0' + size) return std::nullopt;
    if (!line_ends) grid.digits[i / line * size + i % line] = c - '0';
  }
  return grid;
}

bool in_one_unit(const SudokuGrid& grid, int a, int b) {
  const int size = grid.size;
  return a / size == b / size || a % size == b % size || grid.box_of(a) == grid.box_of(b);
}

}  // namespace

std::string sudoku_text(const SudokuGrid& grid) {
  std::string text;
  for (int cell = 0; cell < grid.cells(); ++cell) {
    text += grid.digits[cell] ? ('0' + grid.digits[cell]) : '.';
    if (cell % grid.size == grid.size - 1) text += '\n';
  }
  return text;
}

bool SudokuVerdict::solved() const {
  return readable && std::count(broken.begin(), broken.end(), true) == 0 &&
         std::count(altered.begin(), altered.end(), true) == 0;
}

SudokuVerdict judge(const SudokuGrid& givens, const std::string& answer) {
  SudokuVerdict v;
  const auto grid = read_grid(answer, givens.size);
  v.readable = grid.has_value();
  if (!grid) return v;
  v.grid = *grid;
  v.broken.assign(grid->cells(), false);
  v.altered.assign(grid->cells(), false);
  for (int a = 0; a < grid->cells(); ++a) {
    v.altered[a] = givens.digits[a] && givens.digits[a] != grid->digits[a];
    for (int b = 0; b < grid->cells(); ++b)
      if (a != b && grid->digits[a] == grid->digits[b] && in_one_unit(*grid, a, b))
        v.broken[a] = true;
  }
  return v;
}

}  // namespace potluck
