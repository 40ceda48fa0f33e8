// Sudoku's split into training and test grids, its puzzles, and the judge of answers.
#include "cluster/demo/sudoku.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cluster/demo/random.h"
#include "cluster/demo/sudoku_puzzle.h"
#include "cluster/demo/sudoku_split.h"

namespace potluck {
namespace {

SudokuGrid grid_of(int size, const std::string& digits) {
  SudokuGrid grid{size};
  for (size_t i = 0; i < digits.size(); ++i)
    grid.digits[i] = digits[i] == '.' ? 0 : static_cast<int8_t>(digits[i] - '0');
  return grid;
}

int givens_in(const SudokuGrid& grid) {
  return grid.cells() -
         static_cast<int>(std::count(grid.digits.begin(), grid.digits.begin() + grid.cells(), 0));
}

// Its only solution: each empty cell takes the digit that leaves one.
SudokuGrid solution_of(SudokuGrid grid) {
  for (int cell = 0; cell < grid.cells(); ++cell) {
    if (grid.digits[cell]) continue;
    do ++grid.digits[cell];
    while (grid.digits[cell] < grid.size && count_solutions(grid, 2) == 0);
  }
  return grid;
}

std::string answer_of(const SudokuGrid& grid) {
  return sudoku_text(grid) + "<eos>";
}

// The training scripts wrote these; both sides must agree on what is test and what is training.
TEST(SudokuSplit, IsThatOfTheTrainingScripts) {
  for (const char* name : {"split_cases.json", "split_cases9.json"}) {
    const auto cases = nlohmann::json::parse(
        std::ifstream(std::string(POTLUCK_SOURCE "/cluster/demo/training/") + name));
    ASSERT_GE(cases.at("examples").size(), 20u);
    for (const auto& c : cases.at("examples")) {
      const SudokuGrid grid = grid_of(cases.at("size"), c.at("grid"));
      EXPECT_EQ(canonical_form(grid), c.at("canonical"));
      EXPECT_EQ(is_test_grid(grid), c.at("side") == "test");
    }
  }
}

// Rows 0 and 2 lie in one band of a 9×9 and in two of a 6×6; only 9×9 boxes may be transposed.
TEST(SudokuSplit, ARearrangedGridHasTheSameForm) {
  const auto cases = nlohmann::json::parse(
      std::ifstream(POTLUCK_SOURCE "/cluster/demo/training/split_cases9.json"));
  const SudokuGrid grid = grid_of(9, cases.at("examples").at(0).at("grid"));
  SudokuGrid relabelled = grid, swapped = grid, moved = grid, turned = grid, broken = grid;
  for (int cell = 0; cell < 81; ++cell) {
    const int row = cell / 9, column = cell % 9;
    relabelled.digits[cell] = static_cast<int8_t>(10 - grid.digits[cell]);
    swapped.digits[cell] = grid.digits[(row < 3 ? 2 - row : row) * 9 + column];
    moved.digits[cell] = grid.digits[row * 9 + (column + 3) % 9];
    turned.digits[cell] = grid.digits[column * 9 + row];
    broken.digits[cell] = grid.digits[row * 9 + (column + 1) % 9];  // columns leave their stacks
  }
  for (const SudokuGrid& same : {relabelled, swapped, moved, turned}) {
    EXPECT_NE(same, grid);
    EXPECT_EQ(canonical_form(same), canonical_form(grid));
  }
  EXPECT_NE(canonical_form(broken), canonical_form(grid));
}

TEST(SudokuPuzzle, HasOneSolutionOnTheTestSideAndTheGivensAskedFor) {
  const std::vector<std::pair<int, std::vector<int>>> table = {{6, {12, 18, 33}},
                                                               {9, {24, 25, 31, 40, 77}}};
  std::mt19937_64 random(5);
  for (const auto& [size, counts] : table)
    for (int givens : counts) {
      const SudokuPuzzle puzzle = fresh_puzzle(size, givens, random);
      EXPECT_EQ(puzzle.given_count, givens);
      EXPECT_EQ(givens_in(puzzle.givens), givens);
      EXPECT_EQ(count_solutions(puzzle.givens, 2), 1);
      const SudokuGrid solution = solution_of(puzzle.givens);
      EXPECT_TRUE(judge(puzzle.givens, answer_of(solution)).solved());
      EXPECT_TRUE(is_test_grid(solution));
    }
}

// No 6×6 puzzle with one solution has 7 givens.
TEST(SudokuPuzzle, WhereSoFewGivensAreNotFoundThereIsOneMoreAfterFiftyTries) {
  std::mt19937_64 random(5);
  const SudokuPuzzle puzzle = fresh_puzzle(6, 7, random);
  EXPECT_GT(puzzle.given_count, 7);
  EXPECT_LT(puzzle.given_count, 12);
  EXPECT_EQ(count_solutions(puzzle.givens, 2), 1);
}

TEST(SudokuPuzzle, SolutionsAreCountedUpToALimit) {
  EXPECT_EQ(count_solutions(SudokuGrid{6}, 7), 7);
  EXPECT_EQ(count_solutions(SudokuGrid{9}, 3), 3);
  EXPECT_EQ(count_solutions(grid_of(6, "12345......6"), 2), 0);  // nothing is left for the corner
  EXPECT_EQ(count_solutions(grid_of(6, "1....1"), 2), 0);
}

// Pinned: a seed names the same puzzle whatever standard library potluck was built with.
TEST(SudokuPuzzle, ASeedIsTheSamePuzzleEverywhere) {
  std::mt19937_64 random(2026);
  EXPECT_EQ(sudoku_text(fresh_puzzle(6, 14, random).givens),
            "..25..\n6..3..\n.1..4.\n.2.65.\n..1...\n245.3.\n");
  for (int expected : {9, 4, 8, 5}) EXPECT_EQ(random_between(3, 9, random), expected);
  std::mt19937_64 other(2026);
  EXPECT_EQ(sudoku_text(fresh_puzzle(9, 30, other).givens),
            "32.6...95\n..4.7....\n...21....\n5.8.2....\n...8.3729\n79.......\n8.35...1.\n"
            "....3.9.6\n..576.8..\n");
}

class SudokuJudge : public testing::TestWithParam<int> {
 protected:
  const int size_ = GetParam();
  std::mt19937_64 random_{7};
  const SudokuGrid givens_ = fresh_puzzle(size_, size_ * 4, random_).givens;
  const SudokuGrid right_ = solution_of(givens_);
  // A cell that is given, or not.
  int cell_that(bool given) const {
    int cell = 0;
    while ((givens_.digits[cell] != 0) != given) ++cell;
    return cell;
  }
  SudokuGrid with_another_digit(int cell) const {
    SudokuGrid grid = right_;
    grid.digits[cell] = static_cast<int8_t>(grid.digits[cell] % size_ + 1);
    return grid;
  }
};

TEST_P(SudokuJudge, TheSolutionIsSolved) {
  const SudokuVerdict verdict = judge(givens_, answer_of(right_));
  EXPECT_TRUE(verdict.readable);
  EXPECT_TRUE(verdict.solved());
  EXPECT_EQ(verdict.grid, right_);
}

TEST_P(SudokuJudge, ARepeatedDigitBreaksBothCells) {
  const int cell = cell_that(false);
  const SudokuGrid wrong = with_another_digit(cell);
  const SudokuVerdict verdict = judge(givens_, answer_of(wrong));
  EXPECT_TRUE(verdict.readable);
  EXPECT_TRUE(verdict.broken[cell]);
  EXPECT_FALSE(verdict.altered[cell]);
  EXPECT_FALSE(verdict.solved());
  int in_row = 0;
  for (int c = cell / size_ * size_; c < (cell / size_ + 1) * size_; ++c)
    in_row += verdict.broken[c];
  EXPECT_EQ(in_row, 2);
}

// Digits swapped throughout: every row, column and box is right, and it is another puzzle's answer.
TEST_P(SudokuJudge, AnAlteredGivenIsAFailureThoughTheGridIsValid) {
  SudokuGrid other = right_;
  for (int cell = 0; cell < other.cells(); ++cell)
    if (int8_t& digit = other.digits[cell]; digit <= 2) digit = static_cast<int8_t>(3 - digit);
  const SudokuVerdict verdict = judge(givens_, answer_of(other));
  EXPECT_EQ(std::count(verdict.broken.begin(), verdict.broken.end(), true), 0);
  EXPECT_GT(std::count(verdict.altered.begin(), verdict.altered.end(), true), 0);
  EXPECT_FALSE(verdict.solved());
}

TEST_P(SudokuJudge, WhatIsNoGridWithAnEndIsUnreadable) {
  const std::string grid = sudoku_text(right_);
  std::string zero = grid, beyond = grid, lines = grid;
  zero[0] = '0';
  beyond[0] = size_ == 6 ? '7' : ':';
  lines[static_cast<size_t>(size_)] = ' ';
  const std::string ones(grid.size() + 5, '1');
  for (const std::string& wrong :
       {std::string(), std::string("<eos>"), ones, grid, grid + "<pad><pad>", grid + "1<eos>",
        grid.substr(0, grid.size() - 1) + "<eos>", sudoku_text(givens_) + "<eos>", zero + "<eos>",
        beyond + "<eos>", lines + "<eos>"}) {
    EXPECT_FALSE(judge(givens_, wrong).readable) << wrong;
    EXPECT_FALSE(judge(givens_, wrong).solved()) << wrong;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, SudokuJudge, testing::Values(6, 9));

}  // namespace
}  // namespace potluck
