// Reads /proc/stat, the processes beside it, and the sensors of /sys/class/hwmon.
#include "cluster/cli/owner_watch.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "topology/base/fault.h"
#include "topology/base/wall_clock.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr int kMilli = 1000;  // a sensor's degrees
constexpr int kSensorsMax = 32;

// utime and stime of a process: the 14th and 15th field, the 2nd being a name in brackets that may
// hold anything.
uint64_t used_by(const std::string& stat) {
  constexpr int kBefore = 11;  // fields between the name and utime
  std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
  std::string skipped;
  for (int i = 0; i < kBefore; ++i) fields >> skipped;
  uint64_t user = 0, system = 0;
  fields >> user >> system;
  return user + system;
}

}  // namespace

uint64_t OwnerWatch::potluck_ticks() const {
  uint64_t sum = 0;
  each_process(places_, [&](const fs::path& process, bool is_potluck) {
    if (is_potluck) sum += used_by(first_line(process / "stat"));
  });
  return sum;
}

// "cpu  user nice system idle iowait irq softirq steal guest guest_nice", and guests are in user.
std::optional<OwnerWatch::Ticks> OwnerWatch::ticks() const {
  constexpr int kFields = 8, kIdle = 3, kWaiting = 4, kSteal = 7;
  std::istringstream fields(first_line(places_.proc / "stat"));
  std::string name;
  fields >> name;
  Ticks now;
  for (int i = 0; i < kFields; ++i) {
    uint64_t value = 0;
    if (!(fields >> value)) return std::nullopt;
    now.all += value;
    if (i != kIdle && i != kWaiting && i != kSteal) now.used += value;
  }
  now.potluck = potluck_ticks();
  return now;
}

// The hottest sensor's.
int OwnerWatch::celsius() const {
  int most = 0;
  each_entry(places_.sys / "class/hwmon", [&](const fs::path& chip) {
    for (int i = 1; i <= kSensorsMax; ++i) {
      const std::string text = first_line(chip / ("temp" + std::to_string(i) + "_input"));
      if (is_number(text) && text.size() < 7) most = std::max(most, std::stoi(text) / kMilli);
    }
  });
  return most;
}

// A driver that was replaced under a running program, or a card that fell off its bus, is no reason
// to end.
double OwnerWatch::card_share(Time now) {
  try {
    const double share = card_->look(now);
    card_is_silent_ = false;
    return share;
  } catch (const Fault& fault) {
    if (!std::exchange(card_is_silent_, true) && warn_)
      warn_(std::string("others' use of the card is not seen: ") + fault.what());
    return 0;
  }
}

OwnerActivity OwnerWatch::look(Time now) {
  OwnerActivity seen;
  if (card_) seen.card_share = card_share(now);
  seen.minute_of_day = minute_of_day();
  seen.celsius = celsius();
  const auto found = ticks();
  if (found && last_ && found->all > last_->all) {
    const double used = static_cast<double>(found->used - last_->used);
    // A potluck that has ended takes its ticks with it.
    const double ours =
        found->potluck > last_->potluck ? static_cast<double>(found->potluck - last_->potluck) : 0;
    seen.cpu_share =
        std::clamp((used - ours) / static_cast<double>(found->all - last_->all), 0.0, 1.0);
  }
  last_ = found;
  return seen;
}

}  // namespace potluck
