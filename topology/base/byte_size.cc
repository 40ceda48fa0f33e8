// Reads and writes sizes with units.
#include "topology/base/byte_size.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>

#include "topology/base/fault.h"

namespace potluck {
namespace {

struct ByteUnit {
  const char* name;
  uint64_t bytes;
};

// Largest first of each kind, as exact_bytes_text tries them.
constexpr ByteUnit kUnits[] = {{"TiB", uint64_t{1} << 40},
                               {"GiB", uint64_t{1} << 30},
                               {"MiB", uint64_t{1} << 20},
                               {"KiB", uint64_t{1} << 10},
                               {"TB", 1'000'000'000'000},
                               {"GB", 1'000'000'000},
                               {"MB", 1'000'000},
                               {"KB", 1'000},
                               {"B", 1}};

bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

// 0: no such unit.
uint64_t unit_bytes(std::string_view name) {
  if (name.empty()) return 1;
  for (const ByteUnit& unit : kUnits)
    if (same_letters(name, unit.name)) return unit.bytes;
  return 0;
}

// Digits, with a fraction perhaps; −1: anything else.
double parse_decimal(const std::string& digits) {
  constexpr size_t kDigitsMax = 20;
  const bool plain = digits.size() <= kDigitsMax &&
                     digits.find_first_not_of("0123456789.") == std::string::npos &&
                     std::count(digits.begin(), digits.end(), '.') <= 1;
  const bool framed = !digits.empty() && std::isdigit(static_cast<unsigned char>(digits.front())) &&
                      std::isdigit(static_cast<unsigned char>(digits.back()));
  return plain && framed ? std::stod(digits) : -1;
}

}  // namespace

uint64_t parse_bytes(const std::string& text) {
  const size_t unit_at = std::min(text.find_first_not_of("0123456789."), text.size());
  const size_t name_at = std::min(text.find_first_not_of(' ', unit_at), text.size());
  const double count = parse_decimal(text.substr(0, unit_at));
  const uint64_t unit = unit_bytes(std::string_view(text).substr(name_at));
  if (count < 0 || unit == 0)
    throw Fault(FaultKind::input, "\"" + text + "\" is not a size",
                Fix{"write bytes or a unit: 6GiB, 500MB"});
  const double bytes = std::floor(count * unit);
  if (bytes < 1 || bytes > kBytesMax)
    throw Fault(FaultKind::input, "\"" + text + "\" is not a sensible size",
                Fix{"it must be 1 byte to 1024TiB"});
  return bytes;
}

std::string exact_bytes_text(uint64_t bytes) {
  for (const ByteUnit& unit : kUnits)
    if (bytes >= unit.bytes && bytes % unit.bytes == 0 && unit.bytes > 1)
      return std::to_string(bytes / unit.bytes) + unit.name;
  return std::to_string(bytes);
}

}  // namespace potluck
