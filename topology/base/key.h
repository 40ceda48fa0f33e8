// A public key of a machine as people write it: the 64 hexadecimal digits that `potluck key` shows.
#pragma once

#include <cstddef>
#include <string>

namespace potluck {

inline constexpr size_t kKeyDigits = 64, kKeyBytes = kKeyDigits / 2;

// Letters are small, so that equal keys are equal texts. Zeros alone are no key: what is locked
// with them is open to everybody.
bool is_key(const std::string& text);

}  // namespace potluck
