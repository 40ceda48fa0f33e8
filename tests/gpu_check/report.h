// Report: what a check found, as lines for people while it runs and as JSON at its end.
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
  explicit Report(uint32_t seed) : seed_(seed) {}

  void begin_device(const std::string& device);
  // Rows of one part that have the same columns are a table.
  void add(const std::string& part, const std::string& name, const Values& values);
  // A line for what is wrong.
  void fail(const std::string& part, const std::string& what);

  bool passed() const { return failures_.empty(); }
  std::string json(const std::string& date) const;

 private:
  struct Row {
    std::string device, part, name;
    Values values;
  };

  uint32_t seed_;
  std::string device_;
  std::string header_;  // of the table that is being printed
  std::vector<Row> rows_;
  std::vector<std::string> failures_;
};

}  // namespace potluck
