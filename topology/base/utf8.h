// UTF-8, as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace potluck {

// The bytes of the code point that begins `text`; 1 for a byte that begins none.
size_t utf8_length(std::string_view text);
bool utf8_valid(std::string_view text);
// The code point of a letter as utf8_length() measures it; U+FFFD for a byte that begins none.
char32_t code_point(std::string_view letter);
// The text without the blanks at its ends: all that str.strip() of Python takes, whose templates
// call it trim: U+3000, U+00A0 and U+2028 among them.
std::string_view trimmed(std::string_view text);
// True for what moves a terminal's cursor, sets its state, breaks a line or reorders one: control
// characters (U+0000 to U+001F, U+007F to U+009F), U+2028, U+2029 and the marks of direction.
bool drives_terminal(char32_t code);
// Whether the text can be the name of a host, a device or a worker: UTF-8 that is not empty, drives
// no terminal and has nothing that nobody sees and no blank but " ", so that names that look alike
// are alike.
bool is_plain_name(std::string_view text);
// The text of an answer or a log for a terminal: of what drives one newlines and tabs stay, marks
// of direction go, and the rest and bytes that are no UTF-8 become "·".
std::string harmless(std::string_view text);
// The text for people: what drives a terminal and bytes that are no UTF-8 become "?", and it is cut
// after 2000 bytes or so. Everything quoted from a file goes through this before it meets a
// terminal.
std::string one_line(std::string_view text);

}  // namespace potluck
