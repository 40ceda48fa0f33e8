// Breaks text into a terminal's rows by the width of its characters.
#include "cluster/terminal/terminal_text.h"

#include <cwchar>
#include <utility>

#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr int kTab = 8;

struct Glyph {
  std::string_view text;
  int columns;
};
constexpr Glyph kDot{"·", 1};

Glyph glyph_at(std::string_view text) {
  const std::string_view bytes = text.substr(0, utf8_length(text));
  const int columns = wcwidth(code_point(bytes));
  if (drives_terminal(code_point(bytes))) return harmless(bytes).empty() ? Glyph{"", 0} : kDot;
  return columns < 0 || code_point(bytes) == 0xFFFD ? kDot : Glyph{bytes, columns};
}

class Rows {
 public:
  Rows(int columns, bool color) : columns_(columns), color_(color) {}

  void put(Glyph glyph, bool dim) {
    if (glyph.columns == 0 && row_.columns == 0) return;  // it would combine with nothing
    if (row_.columns + glyph.columns > columns_) end_row();
    if (color_ && dim != dim_) row_.text += dim ? kDim : kPlain;
    dim_ = color_ && dim;
    row_.text += glyph.text;
    row_.columns += glyph.columns;
  }

  void tab(bool dim) {
    do put({" ", 1}, dim);
    while (row_.columns % kTab != 0 && row_.columns < columns_);
  }

  void end_row() {
    if (dim_) row_.text += kPlain;
    dim_ = false;
    rows_.push_back(std::exchange(row_, {}));
  }

  std::vector<TextRow> take() {
    if (row_.columns > 0) end_row();
    return std::move(rows_);
  }

 private:
  const int columns_;
  const bool color_;
  std::vector<TextRow> rows_;
  TextRow row_;
  bool dim_ = false;
};

}  // namespace

std::vector<TextRow> wrap(std::span<const StyledText> texts, int columns, bool color) {
  Rows rows(columns, color);
  for (const StyledText& each : texts)
    for (std::string_view text = each.text; !text.empty(); text.remove_prefix(utf8_length(text))) {
      if (text[0] == '\n')
        rows.end_row();
      else if (text[0] == '\t')
        rows.tab(each.dim);
      else
        rows.put(glyph_at(text), each.dim);
    }
  return rows.take();
}

TextRow one_row(const std::string& text, int columns) {
  std::string line = text;
  for (char& c : line)
    if (c == '\n') c = ' ';
  const StyledText plain{line, false};
  const std::vector<TextRow> rows = wrap({&plain, 1}, columns, false);
  return rows.empty() ? TextRow{} : rows[0];
}

}  // namespace potluck
