// Finds a grid's smallest form under its symmetries, which decides its side of the split.
#include "cluster/demo/sudoku_split.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

namespace potluck {
namespace {

constexpr uint64_t kTestModulus = 3;

using Digits = std::array<int8_t, kSudokuCellsMost>;
using Labels = std::array<int8_t, kSudokuSizeMost + 1>;  // by digit

// All orders of `lines` lines that keep groups of three together: groups may change places, and
// lines within each.
std::vector<std::vector<int>> arrangements(int lines) {
  std::vector<int> order(lines);
  std::iota(order.begin(), order.end(), 0);
  std::vector<std::vector<int>> all;
  do {
    bool whole = true;
    for (int i = 0; i < lines; ++i) {
      const int first = i / kBoxColumns * kBoxColumns;
      whole = whole && order[i] / kBoxColumns == order[first] / kBoxColumns;
    }
    if (whole) all.push_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

const std::vector<std::vector<int>>& column_orders(int size) {
  static const auto kSix = arrangements(6), kNine = arrangements(9);
  return size == 6 ? kSix : kNine;
}

// The row not in `used` that may follow the row `last` and whose digit in column `left` has the
// smallest label. At a band's end (last: −1) any may follow: bands are used up one by one.
int next_row(const SudokuGrid& grid, int left, const Labels& label, int last, int used) {
  int best = -1, least = kSudokuSizeMost + 1;
  for (int row = 0; row < grid.size; ++row) {
    if (used >> row & 1) continue;
    if (last >= 0 && row / grid.box_rows() != last / grid.box_rows()) continue;
    const int starts = label[grid.digits[row * grid.size + left]];
    if (starts < least) best = row, least = starts;
  }
  return best;
}

// Lowers `least` to the smallest reading with these columns and `first` as the upper row. That row
// gives the labels, so it reads 1, 2, …; and as no two rows begin alike, the next one is always
// that which begins with the smallest label.
void lower(const SudokuGrid& grid, const std::vector<int>& columns, int first, Digits& least) {
  const int size = grid.size;
  Labels label{};
  for (int c = 0; c < size; ++c) label[grid.digits[first * size + columns[c]]] = c + 1;
  Digits reading{};
  bool smaller = false;
  for (int r = 0, row = first, used = 0; r < size; ++r) {
    if (r > 0) row = next_row(grid, columns[0], label, r % grid.box_rows() ? row : -1, used);
    used |= 1 << row;
    int8_t* line = &reading[r * size];
    for (int c = 0; c < size; ++c) line[c] = label[grid.digits[row * size + columns[c]]];
    const int order = smaller ? 0 : std::memcmp(line, &least[r * size], size);
    if (order > 0) return;
    smaller = smaller || order < 0;
  }
  least = reading;
}

SudokuGrid transposed(const SudokuGrid& grid) {
  SudokuGrid turned{grid.size};
  for (int cell = 0; cell < grid.cells(); ++cell)
    turned.digits[cell % grid.size * grid.size + cell / grid.size] = grid.digits[cell];
  return turned;
}

uint64_t fnv1a(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

}  // namespace

std::string canonical_form(const SudokuGrid& solved) {
  std::vector<SudokuGrid> grids = {solved};
  if (solved.box_rows() == kBoxColumns) grids.push_back(transposed(solved));
  Digits least;
  least.fill(kSudokuSizeMost + 1);
  for (const SudokuGrid& grid : grids)
    for (const auto& columns : column_orders(grid.size))
      for (int first = 0; first < grid.size; ++first) lower(grid, columns, first, least);
  std::string text;
  for (int cell = 0; cell < solved.cells(); ++cell) text += '0' + least[cell];
  return text;
}

bool is_test_grid(const SudokuGrid& solved) {
  return fnv1a(canonical_form(solved)) % kTestModulus == 0;
}

}  // namespace potluck
