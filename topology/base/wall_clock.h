// The time of day and of the calendar, for what people say in it: hours, days, "until tomorrow".
// It may jump; what has to wait goes by clock.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace potluck {

// Seconds since 1970 by UTC.
inline int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The same as finely as the clock has it, for comparing the clocks of two machines.
inline double fine_unix_seconds() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

// Minutes since midnight, by this machine's time zone.
inline int minute_of_day() {
  const std::time_t seconds = unix_seconds();
  std::tm parts{};
  localtime_r(&seconds, &parts);
  return 60 * parts.tm_hour + parts.tm_min;
}

}  // namespace potluck
