#include "cluster/sudoku.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace potluck {
namespace {

constexpr int kBoxRows = 2, kBoxColumns = 3;
constexpr int kBands = 3, kStacks = 2;
constexpr uint64_t kTestModulus = 3;
constexpr int kFailuresPerGiven = 50;

int box_of(int row, int column) {
  return row / kBoxRows * kStacks + column / kBoxColumns;
}

// Digits used in each row, column and box, as bits.
struct Used {
  std::array<int, kSudokuSize> rows{}, columns{}, boxes{};

  int at(int cell) const {
    const int r = cell / kSudokuSize, c = cell % kSudokuSize;
    return rows[r] | columns[c] | boxes[box_of(r, c)];
  }
  void toggle(int cell, int digit) {
    const int r = cell / kSudokuSize, c = cell % kSudokuSize, bit = 1 << digit;
    rows[r] ^= bit;
    columns[c] ^= bit;
    boxes[box_of(r, c)] ^= bit;
  }
};

// Fills the empty cell with the fewest digits left, in the order of `digits`; counts up to limit
// and leaves the last filled grid found in `grid`.
int search(SudokuGrid& grid, Used& used, const std::array<int8_t, kSudokuSize>& digits, int limit) {
  int best = -1, fewest = kSudokuSize + 1;
  for (int cell = 0; cell < kSudokuCells; ++cell) {
    if (grid[cell]) continue;
    const int left = kSudokuSize - __builtin_popcount(used.at(cell));
    if (left < fewest) {
      fewest = left;
      best = cell;
    }
  }
  if (best < 0) return 1;
  int found = 0;
  for (int8_t digit : digits) {
    if (used.at(best) & (1 << digit)) continue;
    grid[best] = digit;
    used.toggle(best, digit);
    found += search(grid, used, digits, limit - found);
    if (found >= limit) return found;
    used.toggle(best, digit);
    grid[best] = 0;
  }
  return found;
}

Used used_of(const SudokuGrid& grid) {
  Used used;
  for (int cell = 0; cell < kSudokuCells; ++cell)
    if (grid[cell]) used.toggle(cell, grid[cell]);
  return used;
}

constexpr std::array<int8_t, kSudokuSize> kDigits = {1, 2, 3, 4, 5, 6};

// Fisher and Yates' shuffle, for std::shuffle's order is each library's own.
template <typename Items>
void shuffle(Items& items, std::mt19937_64& random) {
  for (int last = static_cast<int>(items.size()) - 1; last > 0; --last)
    std::swap(items[last], items[random_between(0, last, random)]);
}

// A random first row, then a search with randomly ordered digits.
SudokuGrid random_grid(std::mt19937_64& random) {
  SudokuGrid grid{};
  auto digits = kDigits;
  shuffle(digits, random);
  std::copy(digits.begin(), digits.end(), grid.begin());
  Used used = used_of(grid);
  shuffle(digits, random);
  search(grid, used, digits, 1);
  return grid;
}

// All orders of `lines` lines in groups of `group`: groups among each other, lines within each.
std::vector<std::vector<int>> arrangements(int lines, int group) {
  std::vector<int> order(static_cast<size_t>(lines));
  std::iota(order.begin(), order.end(), 0);
  std::vector<std::vector<int>> all;
  do {
    bool whole = true;
    for (int i = 0; i < lines; ++i)
      whole = whole && order[i] / group == order[i / group * group] / group;
    if (whole) all.push_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

std::string relabelled(const SudokuGrid& grid, const std::vector<int>& rows,
                       const std::vector<int>& columns) {
  std::array<char, kSudokuSize + 1> label{};
  char next = '1';
  std::string text;
  for (int row : rows)
    for (int column : columns) {
      char& digit = label[grid[row * kSudokuSize + column]];
      if (!digit) digit = next++;
      text += digit;
    }
  return text;
}

uint64_t fnv1a(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

}  // namespace

// The remainder favours no number by more than one in 2⁵⁸, for ranges are at most 36 wide here; the
// standard fixes mt19937_64 but not its distributions.
int random_between(int least, int most, std::mt19937_64& random) {
  return least + static_cast<int>(random() % static_cast<uint64_t>(most - least + 1));
}

std::string sudoku_text(const SudokuGrid& grid) {
  std::string text;
  for (int cell = 0; cell < kSudokuCells; ++cell) {
    text += grid[cell] ? static_cast<char>('0' + grid[cell]) : '.';
    if (cell % kSudokuSize == kSudokuSize - 1) text += '\n';
  }
  return text;
}

int count_solutions(SudokuGrid grid, int limit) {
  Used used = used_of(grid);
  return search(grid, used, kDigits, limit);
}

std::string canonical_form(const SudokuGrid& solved) {
  static const auto kRows = arrangements(kSudokuSize, kBoxRows);
  static const auto kColumns = arrangements(kSudokuSize, kBoxColumns);
  std::string least;
  for (const auto& rows : kRows)
    for (const auto& columns : kColumns) {
      std::string text = relabelled(solved, rows, columns);
      if (least.empty() || text < least) least = std::move(text);
    }
  return least;
}

bool is_test_grid(const SudokuGrid& solved) {
  return fnv1a(canonical_form(solved)) % kTestModulus == 0;
}

SudokuPuzzle fresh_puzzle(int givens, std::mt19937_64& random) {
  std::array<int, kSudokuCells> order;
  std::iota(order.begin(), order.end(), 0);
  for (int failures = 0;; ++failures) {
    SudokuPuzzle puzzle;
    do puzzle.givens = random_grid(random);
    while (!is_test_grid(puzzle.givens));
    puzzle.given_count = kSudokuCells;
    const int wanted = givens + failures / kFailuresPerGiven;
    shuffle(order, random);
    for (int cell : order) {
      if (puzzle.given_count == wanted) return puzzle;
      const int8_t digit = puzzle.givens[cell];
      puzzle.givens[cell] = 0;
      const bool one = count_solutions(puzzle.givens, 2) == 1;
      puzzle.given_count -= one;
      if (!one) puzzle.givens[cell] = digit;
    }
    if (puzzle.given_count == wanted) return puzzle;
  }
}

bool SudokuVerdict::solved() const {
  return readable && std::count(broken.begin(), broken.end(), true) == 0 &&
         std::count(altered.begin(), altered.end(), true) == 0;
}

SudokuVerdict judge(const SudokuGrid& givens, const std::string& answer) {
  SudokuVerdict v;
  v.broken.assign(kSudokuCells, false);
  v.altered.assign(kSudokuCells, false);
  constexpr int kLine = kSudokuSize + 1;
  std::string text = answer;
  if (text.size() == static_cast<size_t>(kSudokuSize * kLine - 1)) text += '\n';
  v.readable = text.size() == static_cast<size_t>(kSudokuSize * kLine);
  for (int i = 0; v.readable && i < kSudokuSize * kLine; ++i) {
    const char c = text[static_cast<size_t>(i)];
    v.readable = i % kLine == kSudokuSize ? c == '\n' : c >= '1' && c <= '6';
    if (v.readable && c != '\n')
      v.grid[i / kLine * kSudokuSize + i % kLine] = static_cast<int8_t>(c - '0');
  }
  if (!v.readable) return v;
  for (int a = 0; a < kSudokuCells; ++a) {
    v.altered[a] = givens[a] && givens[a] != v.grid[a];
    for (int b = 0; b < kSudokuCells; ++b) {
      const int ra = a / kSudokuSize, ca = a % kSudokuSize, rb = b / kSudokuSize,
                cb = b % kSudokuSize;
      const bool together = ra == rb || ca == cb || box_of(ra, ca) == box_of(rb, cb);
      if (a != b && together && v.grid[a] == v.grid[b]) v.broken[a] = true;
    }
  }
  return v;
}

}  // namespace potluck
