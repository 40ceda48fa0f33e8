// Puts the mutant that the environment names in force, or writes down which ones each test reaches.
#include "tests/kernels/gpu/mutants/mutant.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

namespace potluck::mutants {

bool asks[kMutantsMost] = {};

namespace {

// Which mutants the running test reached, where that is recorded.
std::vector<int> reached;
bool records = false;

class Recorder final : public testing::EmptyTestEventListener {
 public:
  explicit Recorder(const char* file) : file_(file) {}

  void OnTestStart(const testing::TestInfo&) override {
    begun_ = std::clock();
    reached.clear();
    std::fill(std::begin(asks), std::end(asks), true);
  }
  void OnTestEnd(const testing::TestInfo& test) override {
    const int64_t ticks = std::clock() - begun_;
    file_ << test.test_suite_name() << '.' << test.name() << ' ' << ticks * 1000 / CLOCKS_PER_SEC;
    for (const int number : reached) file_ << ' ' << number;
    file_ << std::endl;
  }

 private:
  std::ofstream file_;
  std::clock_t begun_ = 0;
};

const bool is_set_up = [] {
  if (const char* file = std::getenv("POTLUCK_MUTANTS_REACHED")) {
    records = true;
    testing::UnitTest::GetInstance()->listeners().Append(new Recorder(file));
  } else if (const char* number = std::getenv("POTLUCK_MUTANT")) {
    asks[std::stoi(number)] = true;
  }
  return true;
}();

}  // namespace

bool chosen(int number) {
  if (!records) return true;
  reached.push_back(number);
  asks[number] = false;
  return false;
}

}  // namespace potluck::mutants
