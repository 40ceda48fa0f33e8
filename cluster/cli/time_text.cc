// Reads and writes spans of minutes, hours and days.
#include "cluster/cli/time_text.h"

#include <charconv>

#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

constexpr int64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr int64_t kTtlMax = 366 * kDay;

int64_t unit_of(char letter) {
  return letter == 'm' ? kMinute : letter == 'h' ? kHour : letter == 'd' ? kDay : 0;
}

}  // namespace

int64_t parse_ttl(const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  const int64_t unit = read.ptr + 1 == end ? unit_of(*read.ptr) : 0;
  if (read.ec != std::errc() || unit == 0 || number < 1 || number > kTtlMax / unit)
    throw Fault(FaultKind::input, "--ttl " + text + " is no span of time",
                Fix{"write minutes, hours or days, up to a year: 30m, 24h, 7d"});
  return number * unit;
}

std::string span_text(int64_t seconds) {
  if (seconds >= 2 * kDay) return count_text(seconds / kDay, "day");
  if (seconds >= kHour) return count_text(seconds / kHour, "hour");
  if (seconds >= kMinute) return count_text(seconds / kMinute, "minute");
  return "a moment";
}

}  // namespace potluck
