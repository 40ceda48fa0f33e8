// The only home of system clocks outside Transport.
#pragma once

#include <chrono>
#include <ctime>
#include <string>

namespace potluck {

// Monotonic time. State machines are told the time (`now`); they never ask for it.
using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::nanoseconds;

inline Time now() {
  return std::chrono::steady_clock::now();
}

inline double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}
inline double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
inline Duration from_seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

// Today by UTC: "2026-11-24".
inline std::string utc_date() {
  const std::time_t today = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&today, &parts);
  char text[16];
  return {text, std::strftime(text, sizeof(text), "%F", &parts)};
}

}  // namespace potluck
