// Measures and checks UTF-8, and makes any text one line.
#include "topology/base/utf8.h"

#include <cstdint>

namespace potluck {
namespace {

// 0: not a valid code point.
size_t valid_length(std::string_view text) {
  const auto byte = [&](size_t i) -> uint8_t { return i < text.size() ? text[i] : 0; };
  const auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t first = byte(0), second = byte(1);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && second < 0xA0,
               surrogate = first == 0xED && second > 0x9F;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && second < 0x90, above = first == 0xF4 && second > 0x8F;
    return tail(1) && tail(2) && tail(3) && !overlong && !above ? 4 : 0;
  }
  return 0;
}

}  // namespace

size_t utf8_length(std::string_view text) {
  const size_t length = valid_length(text);
  return length ? length : 1;
}

bool utf8_valid(std::string_view text) {
  while (!text.empty()) {
    const size_t length = valid_length(text);
    if (!length) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string one_line(std::string_view text) {
  constexpr size_t kBytesMax = 2000;
  std::string line;
  while (!text.empty() && line.size() < kBytesMax) {
    const std::string_view letter = text.substr(0, utf8_length(text));
    const unsigned char first = letter[0];
    const bool shown = utf8_valid(letter) && first >= 0x20 && first != 0x7F;
    line += shown ? letter : "?";
    text.remove_prefix(letter.size());
  }
  return text.empty() ? line : line + "…";
}

}  // namespace potluck
