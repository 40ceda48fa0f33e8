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

bool sets_direction(char32_t code) {
  return code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

// Letters without a width of their own: soft hyphens, joiners, byte order marks, tags.
bool is_unseen(char32_t code) {
  return code == 0xAD || code == 0x034F || code == 0x115F || code == 0x1160 || code == 0x180E ||
         (code >= 0x200B && code <= 0x200D) || (code >= 0x2060 && code <= 0x206F) ||
         code == 0x3164 || code == 0xFEFF || code == 0xFFA0 || (code >= 0xE0000 && code <= 0xE007F);
}

bool is_blank(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
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

char32_t code_point(std::string_view letter) {
  const size_t length = valid_length(letter);
  if (length < 2) return length ? letter[0] : 0xFFFD;
  char32_t code = static_cast<uint8_t>(letter[0]) & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (letter[i] & 0x3F);
  return code;
}

std::string_view trimmed(std::string_view text) {
  size_t begin = 0, end = 0;
  for (size_t at = 0; at < text.size();) {
    const std::string_view letter = text.substr(at, utf8_length(text.substr(at)));
    at += letter.size();
    if (!is_blank(code_point(letter)))
      end = at;
    else if (end == 0)
      begin = at;
  }
  return end == 0 ? std::string_view{} : text.substr(begin, end - begin);
}

bool drives_terminal(char32_t code) {
  const bool control = code < 0x20 || (code >= 0x7F && code <= 0x9F);
  const bool separator = code == 0x2028 || code == 0x2029;
  return control || separator || sets_direction(code);
}

bool is_plain_name(std::string_view text) {
  if (text.empty()) return false;
  while (!text.empty()) {
    const std::string_view letter = text.substr(0, utf8_length(text));
    const char32_t code = code_point(letter);
    if (!utf8_valid(letter) || drives_terminal(code) || is_unseen(code)) return false;
    if (is_blank(code) && code != ' ') return false;
    text.remove_prefix(letter.size());
  }
  return true;
}

std::string harmless(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view letter = text.substr(0, utf8_length(text));
    const char32_t code = code_point(letter);
    const bool broken = letter.size() == 1 && code == 0xFFFD;
    const bool stays = code == '\n' || code == '\t' || (!broken && !drives_terminal(code));
    if (!sets_direction(code)) out += stays ? letter : "·";
    text.remove_prefix(letter.size());
  }
  return out;
}

std::string one_line(std::string_view text) {
  constexpr size_t kLineBytesMax = 2000;
  std::string line;
  while (!text.empty() && line.size() < kLineBytesMax) {
    const std::string_view letter = text.substr(0, utf8_length(text));
    const bool shown = utf8_valid(letter) && !drives_terminal(code_point(letter));
    line += shown ? letter : "?";
    text.remove_prefix(letter.size());
  }
  return text.empty() ? line : line + "…";
}

}  // namespace potluck
