// CHECK is for our own bugs. A failed check prints the condition and its operands and aborts; it is
// never used for what the outside world can cause (that is a Fault, see fault.h).
#pragma once

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

namespace potluck {

template <typename... Operands>
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const Operands&... operands) {
  std::ostringstream text;
  text << file << ":" << line << ": CHECK(" << condition << ") failed";
  [[maybe_unused]] const char* separator = ": ";
  ((text << separator << operands, separator = ", "), ...);
  std::fprintf(stderr, "%s\n", text.str().c_str());
  std::abort();
}

}  // namespace potluck

// CHECK(a == b, a, b) takes the condition, then the values to print.
#define CHECK(condition, ...)                                                             \
  do {                                                                                    \
    if (!(condition))                                                                     \
      ::potluck::check_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
