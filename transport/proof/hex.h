// Bytes as hexadecimal digits, and back.
#pragma once

#include <optional>
#include <string>

namespace potluck {

std::string hex_of(const std::string& bytes);  // in small letters
// None for a text that is not whole bytes of such digits.
std::optional<std::string> bytes_of_hex(const std::string& digits);

}  // namespace potluck
