// Weighs hours, heat and others' use of a device, each with its own slowness.
#include "topology/cluster/courtesy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "topology/base/fault.h"
#include "topology/base/suggest.h"

namespace potluck {
namespace {

constexpr int kCelsiusLeast = 30, kCelsiusMost = 120;
constexpr std::array<std::string_view, 3> kWords = {"busy", "hours", "temperature"};

constexpr int kDayMinutes = 24 * 60;

// "22:00" as 1320, up to "24:00"; none for another text.
std::optional<int> minute_of(std::string_view text) {
  if (text.size() != 5 || text[2] != ':' || text[0] == '-' || text[3] == '-') return std::nullopt;
  int hour = 0, minute = 0;
  const auto first = std::from_chars(text.data(), text.data() + 2, hour);
  const auto second = std::from_chars(text.data() + 3, text.data() + 5, minute);
  if (first.ptr != text.data() + 2 || second.ptr != text.data() + 5) return std::nullopt;
  const int time = 60 * hour + minute;
  if (hour < 0 || minute < 0 || minute > 59 || time > kDayMinutes) return std::nullopt;
  return time;
}

struct Span {
  int from = 0, to = 0;
};

std::optional<Span> span_of(std::string_view hours) {
  if (hours.size() != 11 || hours[5] != '-') return std::nullopt;
  const auto from = minute_of(hours.substr(0, 5)), to = minute_of(hours.substr(6));
  if (!from || !to || *from == kDayMinutes) return std::nullopt;
  return Span{*from, *to};
}

void take(Courtesy& courtesy, const std::string& word) {
  const size_t equals = std::min(word.find('='), word.size());
  const std::string name = word.substr(0, equals);
  const std::string value = word.substr(std::min(equals + 1, word.size()));
  if (word == "busy") {
    courtesy.when_busy = true;
  } else if (name == "hours") {
    if (!span_of(value))
      throw Fault(FaultKind::input, "--yield hours=" + value + " is no span of a day",
                  Fix{"write the hours in which potluck may compute: hours=22:00-08:00"});
    if (is_empty_span(value))
      throw Fault(FaultKind::input, "--yield hours=" + value + " ends as it begins",
                  Fix{"give two times, or leave hours out where potluck may always compute"});
    courtesy.hours = value;
  } else if (name == "temperature") {
    const auto end =
        std::from_chars(value.data(), value.data() + value.size(), courtesy.celsius_max);
    if (value.empty() || end.ptr != value.data() + value.size())
      throw Fault(FaultKind::input, "--yield temperature=" + value + " is no number of degrees",
                  Fix{"write degrees Celsius: temperature=80"});
    check_within("--yield temperature", courtesy.celsius_max, kCelsiusLeast, kCelsiusMost);
  } else {
    throw Fault(FaultKind::input, "--yield knows no \"" + word + "\"",
                Fix{suggestion(name, kWords)});
  }
}

}  // namespace

Courtesy parse_courtesy(const std::string& text) {
  Courtesy courtesy;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    take(courtesy, text.substr(at, end - at));
    at = end + 1;
  }
  return courtesy;
}

bool is_hours(const std::string& text) {
  return span_of(text).has_value();
}

bool is_empty_span(const std::string& hours) {
  const auto span = span_of(hours);
  return span && span->from == span->to;
}

bool yields(const Courtesy& courtesy) {
  return courtesy.when_busy || !courtesy.hours.empty() || courtesy.celsius_max > 0;
}

std::string courtesy_text(const Courtesy& courtesy) {
  std::string text;
  const auto add = [&](const std::string& word) { text += (text.empty() ? "" : ",") + word; };
  if (courtesy.when_busy) add("busy");
  if (!courtesy.hours.empty()) add("hours=" + courtesy.hours);
  if (courtesy.celsius_max > 0) add("temperature=" + std::to_string(courtesy.celsius_max));
  return text;
}

bool is_within_hours(const std::string& hours, int minute) {
  const auto span = span_of(hours);
  if (!span) return false;
  if (span->from < span->to) return span->from <= minute && minute < span->to;
  return minute >= span->from || minute < span->to;
}

void YieldRule::weigh(Time now, double share) {
  const bool speaks_against = busy_ ? share < kQuietShare : share > kBusyShare;
  if (!speaks_against) {
    since_.reset();
    return;
  }
  if (!since_) since_ = now;
  if (seconds(now - *since_) < (busy_ ? kQuietSeconds : kBusySeconds)) return;
  busy_ = !busy_;
  since_.reset();
}

std::optional<std::string> YieldRule::look(Time now, const OwnerActivity& seen) {
  if (courtesy_.when_busy) weigh(now, std::max(seen.cpu_share, seen.card_share));
  const int most = courtesy_.celsius_max;
  if (most > 0) hot_ = seen.celsius > (hot_ ? most - kCooler : most);
  if (!courtesy_.hours.empty() && !is_within_hours(courtesy_.hours, seen.minute_of_day))
    return "its hours are " + courtesy_.hours;
  if (hot_)
    return "it is " + std::to_string(seen.celsius) + " °C hot, more than " + std::to_string(most);
  if (busy_) return "its owner uses it";
  return std::nullopt;
}

}  // namespace potluck
