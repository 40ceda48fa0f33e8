#include "cluster/sudoku.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace potluck {
namespace {

SudokuGrid grid_of(const std::string& digits) {
  SudokuGrid grid{};
  for (size_t i = 0; i < digits.size(); ++i)
    grid[i] = digits[i] == '.' ? 0 : static_cast<int8_t>(digits[i] - '0');
  return grid;
}

// The training scripts wrote these; both sides must agree on what is test and what is training.
TEST(Sudoku, TheSplitIsThatOfTheTrainingScripts) {
  const auto cases =
      nlohmann::json::parse(std::ifstream(POTLUCK_SOURCE "/cluster/demo/split_cases.json"));
  ASSERT_GE(cases.at("examples").size(), 20u);
  for (const auto& c : cases.at("examples")) {
    const SudokuGrid grid = grid_of(c.at("grid"));
    EXPECT_EQ(canonical_form(grid), c.at("canonical"));
    EXPECT_EQ(is_test_grid(grid), c.at("side") == "test");
  }
}

TEST(Sudoku, FreshPuzzlesHaveOneSolutionAndTheGivensAskedFor) {
  std::mt19937_64 random(5);
  for (int givens : {12, 18, 30}) {
    const SudokuPuzzle puzzle = fresh_puzzle(givens, random);
    EXPECT_EQ(puzzle.given_count, givens);
    EXPECT_EQ(count_solutions(puzzle.givens, 2), 1);
  }
  EXPECT_EQ(count_solutions(SudokuGrid{}, 7), 7);
}

// Pinned: a seed names the same puzzle whatever standard library potluck was built with.
TEST(Sudoku, ASeedIsTheSamePuzzleEverywhere) {
  std::mt19937_64 random(2026);
  EXPECT_EQ(sudoku_text(fresh_puzzle(14, random).givens),
            "..25..\n6..3..\n.1..4.\n.2.65.\n..1...\n245.3.\n");
  for (int expected : {9, 4, 8, 5}) EXPECT_EQ(random_between(3, 9, random), expected);
}

TEST(Sudoku, AnswersAreJudgedByTheRules) {
  const std::string right = "325146\n461253\n642531\n513462\n134625\n256314\n";
  SudokuGrid givens = grid_of("325146" + std::string(30, '.'));
  EXPECT_TRUE(judge(givens, right).solved());
  EXPECT_TRUE(judge(givens, right.substr(0, right.size() - 1)).solved());
  EXPECT_FALSE(judge(givens, "hello").readable);
  EXPECT_FALSE(judge(givens, right + "1").readable);
  std::string swapped = right;
  std::swap(swapped[7], swapped[8]);
  EXPECT_TRUE(judge(givens, swapped).broken[6]);
  EXPECT_FALSE(judge(givens, swapped).solved());
  givens[0] = 4;  // another puzzle: the answer alters its given
  EXPECT_TRUE(judge(givens, right).altered[0]);
  EXPECT_FALSE(judge(givens, right).solved());
}

}  // namespace
}  // namespace potluck
