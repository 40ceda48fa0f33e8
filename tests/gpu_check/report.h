// Report: what a check found, as lines for people and as a file of JSON, which is whole after each
// line: a run that is cut off leaves what it had.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace potluck {

using Value = std::variant<double, std::string>;
using Values = std::vector<std::pair<std::string, Value>>;  // by name, in the order of columns

class Report final {
 public:
  // The file is written anew each time; empty: none is.
  Report(uint32_t seed, std::string file) : seed_(seed), file_(std::move(file)) {}

  void begin_device(const std::string& device);
  // Rows of one part that have the same columns are a table.
  void add(const std::string& part, const std::string& name, const Values& values);
  // A line for what is wrong.
  void fail(const std::string& part, const std::string& what);

  bool passed() const { return failures_.empty(); }
  // Throws Fault{world} if the file cannot be written.
  void finish();

 private:
  struct Row {
    std::string device, part, name;
    Values values;
  };

  std::string json() const;
  bool save() const;

  uint32_t seed_;
  std::string file_;
  bool finished_ = false;
  std::string device_;
  std::string header_;  // of the table that is being printed
  std::vector<Row> rows_;
  std::vector<std::string> failures_;
};

}  // namespace potluck
