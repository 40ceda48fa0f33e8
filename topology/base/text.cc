// Writes numbers, shapes, sizes and lists for people.
#include "topology/base/text.h"

#include <cstdio>

namespace potluck {
namespace {

// Three digits.
std::string scaled(double value, const char* unit) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, unit);
  return text;
}

}  // namespace

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string sides;
  for (int64_t side : shape) add_to_list(sides, std::to_string(side));
  return "[" + sides + "]";
}

std::string bytes_text(uint64_t bytes) {
  const auto value = bytes;
  if (value < 1e3) return std::to_string(bytes) + " B";
  if (value < 1e6) return scaled(value / 1e3, "KB");
  return value < 1e9 ? scaled(value / 1e6, "MB") : scaled(value / 1e9, "GB");
}

std::string count_text(size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string in_quotes(std::string_view name) {
  return std::string("\"").append(name).append("\"");
}

void add_to_list(std::string& list, std::string_view item) {
  if (!list.empty()) list += ", ";
  list += item;
}

}  // namespace potluck
