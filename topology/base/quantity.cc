// Reads and writes numbers with units.
#include "topology/base/quantity.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <optional>
#include <span>
#include <string_view>

#include "topology/base/fault.h"

namespace potluck {
namespace {

struct Unit {
  const char* name;
  double factor;
};

struct Measure {
  const char* what;  // "a time"
  std::span<const Unit> units;
  double least, most;
  const char* example;  // "write a number and a unit: 0.3ms"
  const char* range;    // "above 0 and at most an hour"
};

constexpr Unit kTimes[] = {{"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}};
constexpr Unit kRates[] = {{"kbit", 1e-3}, {"mbit", 1}, {"gbit", 1e3},
                           {"kbps", 1e-3}, {"mbps", 1}, {"gbps", 1e3}};
constexpr Unit kPowers[] = {{"w", 1}, {"kw", 1e3}};
constexpr double kHourMs = 3.6e6, kRateMaxMbit = 1e7;

constexpr Measure kTime{"a time", kTimes, 1e-6, kHourMs, "0.3ms", "above 0 and at most 60m"};
constexpr Measure kRate{
    "a rate", kRates, 1e-6, kRateMaxMbit, "940mbit or 2.5gbit", "above 0 and at most 10000gbit"};
constexpr Measure kPower{"a power", kPowers, 1, 1e4, "250W", "1W to 10000W"};

std::string small_letters(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return small;
}

std::optional<double> decimal(const std::string& digits) {
  constexpr size_t kDigitsMax = 20;
  const bool plain = !digits.empty() && digits.size() <= kDigitsMax && digits.front() != '.' &&
                     digits.back() != '.' && std::count(digits.begin(), digits.end(), '.') <= 1;
  if (!plain) return std::nullopt;
  return std::stod(digits);
}

double read(const std::string& text, const Measure& measure) {
  const size_t minus = text.rfind('-', 0) == 0;
  const size_t unit_at = std::min(text.find_first_not_of("0123456789.", minus), text.size());
  const size_t name_at = std::min(text.find_first_not_of(' ', unit_at), text.size());
  std::string name = small_letters(std::string_view(text).substr(name_at));
  if (name.size() > 2 && name.compare(name.size() - 2, 2, "/s") == 0) name.resize(name.size() - 2);
  const auto number = decimal(text.substr(minus, unit_at - minus));
  const auto unit = std::find_if(measure.units.begin(), measure.units.end(),
                                 [&name](const Unit& one) { return name == one.name; });
  if (!number || unit == measure.units.end())
    throw Fault(FaultKind::input, "\"" + text + "\" is not " + measure.what,
                Fix{std::string("write a number and a unit: ") + measure.example});
  const double value = (minus ? -*number : *number) * unit->factor;
  if (value < measure.least || value > measure.most)
    throw Fault(FaultKind::input, "\"" + text + "\" is out of range",
                Fix{std::string("it must be ") + measure.range});
  return value;
}

// Without an exponent, which read() does not take, and without zeros at the end.
std::string decimal_text(double value) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.*f", value < 1 ? 6 : value < 1000 ? 3 : 1, value);
  std::string text = digits;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

double parse_ms(const std::string& text) {
  return read(text, kTime);
}

std::string exact_ms_text(double ms) {
  return decimal_text(std::max(ms, kTime.least)) + "ms";
}

double parse_mbit_per_s(const std::string& text) {
  return read(text, kRate);
}

std::string exact_mbit_text(double mbit_per_s) {
  if (mbit_per_s >= 1e3) return decimal_text(mbit_per_s / 1e3) + "gbit";
  return decimal_text(std::max(mbit_per_s, kRate.least)) + "mbit";
}

double parse_watts(const std::string& text) {
  return read(text, kPower);
}

}  // namespace potluck
