// Tells a key from other words.
#include "topology/base/key.h"

namespace potluck {

bool is_key(const std::string& text) {
  return text.size() == kKeyDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos &&
         text.find_first_not_of('0') != std::string::npos;
}

}  // namespace potluck
