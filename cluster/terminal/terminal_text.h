// Turns text into rows of a terminal that contain nothing that could move the cursor. Widths are
// those of wcwidth(), for which main has set LC_CTYPE to UTF-8.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace potluck {

// The escape codes around dim text.
inline constexpr char kDim[] = "\x1b[2m", kPlain[] = "\x1b[0m";

struct StyledText {
  std::string text;
  bool dim = false;
};

struct TextRow {
  std::string text;  // escape codes included; it ends in the plain style
  int columns = 0;   // its width
};

// Breaks text at newlines and before a character that no longer fits; East-Asian characters and
// emoji take two columns. Tabs become spaces and control characters dots. Dim text is dimmed if
// `color` is true.
std::vector<TextRow> wrap(std::span<const StyledText> texts, int columns, bool color);

// The part of the text that fits into one row; newlines become spaces.
TextRow one_row(const std::string& text, int columns);

}  // namespace potluck
