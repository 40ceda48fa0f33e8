// Text as rows of a terminal: how wide it is, where it wraps, and nothing in it that could move
// the cursor. Widths are wcwidth's; main has set LC_CTYPE to UTF-8.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace potluck {

struct StyledText {
  std::string text;
  bool dim = false;
};

struct TextRow {
  std::string text;  // escape codes included; ends in the plain style
  int columns = 0;   // that it takes
};

// Breaks at newlines and before what no longer fits; East-Asian and emoji glyphs take two columns.
// Tabs become spaces and control characters dots. color: dim text may be made so.
std::vector<TextRow> wrap(std::span<const StyledText> texts, int columns, bool color);

// What fits into one row; newlines become spaces.
TextRow one_row(const std::string& text, int columns);

// Text for a terminal: all control characters but newline and tab become dots.
std::string harmless(std::string_view text);

}  // namespace potluck
