// Breaks lines between words, and draws bars.
#include "cluster/planning/columns.h"

#include <algorithm>

namespace potluck {
namespace {

std::string without_spaces_behind(const std::string& line) {
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

}  // namespace

std::string shortened(const std::string& name, size_t most) {
  return name.size() <= most ? name : name.substr(0, most - 2) + "..";
}

std::string joined(const std::vector<std::string>& items, const std::string& between) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : between) + item;
  return text;
}

std::string wrapped(const std::string& first, const std::string& text) {
  std::string out, line = first;
  bool fresh = true;  // no word of the text is on the line yet
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!fresh && line.size() + 1 + word.size() > kColumns) {
      out += without_spaces_behind(line) + "\n";
      line = std::string(first.size(), ' ');
      fresh = true;
    }
    line += (fresh ? "" : " ") + word;
    fresh = false;
    at = end + 1;
  }
  return out + without_spaces_behind(line) + "\n";
}

std::string bar(double share, int width, char mark) {
  const int marks = std::clamp(static_cast<int>(share * width + 0.5), share > 0 ? 1 : 0, width);
  return std::string(marks, mark);
}

}  // namespace potluck
