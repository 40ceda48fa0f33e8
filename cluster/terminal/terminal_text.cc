// Breaks text into a terminal's rows by the width of its characters.
#include "cluster/terminal/terminal_text.h"

#include <cstdint>
#include <cwchar>
#include <utility>

#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr char kDim[] = "\x1b[2m";
constexpr char kPlain[] = "\x1b[0m";
constexpr int kTab = 8;

char32_t code_point(std::string_view glyph) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<uint8_t>(glyph[i])); };
  const size_t n = glyph.size();
  if (n == 1) return byte(0) < 0x80 ? byte(0) : 0xFFFD;
  char32_t code = byte(0) & (0x7Fu >> n);
  for (size_t i = 1; i < n; ++i) code = code << 6 | (byte(i) & 0x3F);
  return code;
}

// A mark that reorders the text behind it would reach beyond the canvas.
bool reorders(char32_t code) {
  return (code >= 0x200E && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

struct Glyph {
  std::string_view text;
  int columns;
};

Glyph glyph_at(std::string_view text) {
  const std::string_view bytes = text.substr(0, utf8_length(text));
  const char32_t code = code_point(bytes);
  const int columns = wcwidth(code);
  if (reorders(code)) return {"", 0};
  if (columns < 0 || code == 0 || code == 0xFFFD) return {"·", 1};
  return {bytes, columns};
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

std::string harmless(std::string_view text) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(utf8_length(text))) {
    const std::string_view bytes = text.substr(0, utf8_length(text));
    const char32_t code = code_point(bytes);
    const bool control = code < ' ' || (code >= 0x7F && code < 0xA0);
    if (control && code != '\n' && code != '\t')
      out += "·";
    else
      out += bytes;
  }
  return out;
}

}  // namespace potluck
