// UTF-8, as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace potluck {

// The bytes of the code point that begins `text`; 1 for a byte that begins none.
size_t utf8_length(std::string_view text);
bool utf8_valid(std::string_view text);
// The text for people: line breaks, other control characters and bytes that are no UTF-8 become
// "?", and it is cut after 2000 bytes or so. Everything quoted from a file goes through this before
// it meets a terminal.
std::string one_line(std::string_view text);

}  // namespace potluck
