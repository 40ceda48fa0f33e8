// Converts by libsodium.
#include "transport/proof/hex.h"

#include <sodium.h>

namespace potluck {

std::string hex_of(const std::string& bytes) {
  std::string digits(2 * bytes.size() + 1, '\0');
  sodium_bin2hex(digits.data(), digits.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                 bytes.size());
  digits.pop_back();
  return digits;
}

std::optional<std::string> bytes_of_hex(const std::string& digits) {
  std::string bytes(digits.size() / 2, '\0');
  size_t size = 0;
  const char* end = nullptr;
  const int code = sodium_hex2bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(),
                                  digits.data(), digits.size(), nullptr, &size, &end);
  if (code != 0 || size != bytes.size() || end != digits.data() + digits.size() ||
      digits.size() % 2 != 0)
    return std::nullopt;
  return bytes;
}

}  // namespace potluck
