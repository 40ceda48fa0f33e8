// Fills grids by search and digs puzzles out of them.
#include "cluster/demo/sudoku_puzzle.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "cluster/demo/random.h"
#include "cluster/demo/sudoku_split.h"

namespace potluck {
namespace {

constexpr int kFailuresPerGiven = 50;
constexpr int kScattered9 = 2;  // rows from one scattered digit to the next

using Order = std::vector<int8_t>;  // all digits

// A grid that is being filled, and the digits used in each row, column and box, as bits.
class Search {
 public:
  explicit Search(int size) : grid_{size} {}

  const SudokuGrid& grid() const { return grid_; }
  bool allows(int cell, int digit) const { return !(used(cell) >> digit & 1); }
  void place(int cell, int digit) {
    grid_.digits[cell] = digit;
    toggle(cell, digit);
  }

  // Fills the empty cells, that with the fewest digits left first, with `digits` in their order.
  // Counts filled grids up to `limit` and leaves the last one.
  int fill(const Order& digits, int limit) {
    const int cell = tightest_cell();
    if (cell < 0) return 1;
    int found = 0;
    for (int8_t digit : digits) {
      if (!allows(cell, digit)) continue;
      place(cell, digit);
      found += fill(digits, limit - found);
      if (found >= limit) return found;
      toggle(cell, digit);
      grid_.digits[cell] = 0;
    }
    return found;
  }

 private:
  int used(int cell) const {
    return rows_[cell / grid_.size] | columns_[cell % grid_.size] | boxes_[grid_.box_of(cell)];
  }
  void toggle(int cell, int digit) {
    for (int* unit :
         {&rows_[cell / grid_.size], &columns_[cell % grid_.size], &boxes_[grid_.box_of(cell)]})
      *unit ^= 1 << digit;
  }
  int tightest_cell() const {
    int best = -1, fewest = grid_.size + 1;
    for (int cell = 0; cell < grid_.cells() && fewest > 1; ++cell) {
      if (grid_.digits[cell]) continue;
      const int left = grid_.size - __builtin_popcount(used(cell));
      if (left < fewest) best = cell, fewest = left;
    }
    return best;
  }

  SudokuGrid grid_;
  std::array<int, kSudokuSizeMost> rows_{}, columns_{}, boxes_{};
};

Order ordered_digits(int size) {
  Order digits(size);
  std::iota(digits.begin(), digits.end(), int8_t{1});
  return digits;
}

// Places a random digit into every second row under the first; returns false if one is not allowed
// there. Without these, a first row and an order of digits would lead to few of the 9×9 grids.
bool scatter(Search& search, std::mt19937_64& random) {
  const int size = search.grid().size;
  for (int row = 1; row < size; row += kScattered9) {
    const int cell = row * size + random_between(0, size - 1, random);
    const int digit = random_between(1, size, random);
    if (!search.allows(cell, digit)) return false;
    search.place(cell, digit);
  }
  return true;
}

// Fills a random first row, for 9×9 some cells below it, and the rest by a search with digits in
// random order.
SudokuGrid random_grid(int size, std::mt19937_64& random) {
  for (;;) {
    Order digits = ordered_digits(size);
    shuffle(digits, random);
    Search search(size);
    for (int column = 0; column < size; ++column) search.place(column, digits[column]);
    if (size == 9 && !scatter(search, random)) continue;
    shuffle(digits, random);
    if (search.fill(digits, 1)) return search.grid();
  }
}

SudokuGrid random_test_grid(int size, std::mt19937_64& random) {
  for (;;) {
    SudokuGrid grid = random_grid(size, random);
    if (is_test_grid(grid)) return grid;
  }
}

// Empties cells in this order, each only if one solution is left, down to `wanted` givens.
void dig(SudokuPuzzle& puzzle, const std::vector<int>& order, int wanted) {
  for (int cell : order) {
    if (puzzle.given_count == wanted) return;
    const int8_t digit = std::exchange(puzzle.givens.digits[cell], int8_t{0});
    const bool one = count_solutions(puzzle.givens, 2) == 1;
    puzzle.given_count -= one;
    if (!one) puzzle.givens.digits[cell] = digit;
  }
}

}  // namespace

int count_solutions(const SudokuGrid& grid, int limit) {
  Search search(grid.size);
  for (int cell = 0; cell < grid.cells(); ++cell) {
    const int digit = grid.digits[cell];
    if (!digit) continue;
    if (!search.allows(cell, digit)) return 0;
    search.place(cell, digit);
  }
  return search.fill(ordered_digits(grid.size), limit);
}

SudokuPuzzle fresh_puzzle(int size, int givens, std::mt19937_64& random) {
  std::vector<int> order(size * size);
  std::iota(order.begin(), order.end(), 0);
  for (int failures = 0;; ++failures) {
    const int wanted = givens + failures / kFailuresPerGiven;
    SudokuPuzzle puzzle{random_test_grid(size, random), size * size};
    shuffle(order, random);
    dig(puzzle, order, wanted);
    if (puzzle.given_count == wanted) return puzzle;
  }
}

}  // namespace potluck
