// When a worker leaves its device to its owner, decided from what is seen of the machine. Nothing
// here looks at a machine: that is owner_watch.h of the command line.
#pragma once

#include <optional>
#include <string>

#include "topology/base/clock.h"
#include "topology/cluster/cluster_spec.h"

namespace potluck {

// A device as it is seen at one moment.
struct OwnerActivity {
  double cpu_share = 0;   // of all this machine's cores, that others than potluck use now
  double card_share = 0;  // of the device, if it is a card
  int celsius = 0;        // the hottest sensor of the device; 0: not known
  int minute_of_day = 0;
};

// Others use a device once they take this share of it for so long, and no more once they take less
// for longer: a worker costs its ring seconds when it goes and comes.
inline constexpr double kBusyShare = 0.25, kQuietShare = 0.10;
inline constexpr double kBusySeconds = 5, kQuietSeconds = 60;
// It has to be this much cooler before a worker comes back.
inline constexpr int kCooler = 8;

// "busy", "hours=22:00-08:00" and "temperature=80", with commas between, as --yield has them.
// Throws Fault{input} that names the word.
Courtesy parse_courtesy(const std::string& text);
bool yields(const Courtesy& courtesy);
// The text that is parsed as this; empty: it never yields.
std::string courtesy_text(const Courtesy& courtesy);

// Whether the text is two times of a day, as "22:00-08:00"; and whether they are the same one.
bool is_hours(const std::string& text);
bool is_empty_span(const std::string& hours);

// Whether a minute of the day is within "22:00-08:00". From a time to the same, which nobody can
// write, is the whole day.
bool is_within_hours(const std::string& hours, int minute);

class YieldRule final {
 public:
  explicit YieldRule(Courtesy courtesy) : courtesy_(std::move(courtesy)) {}

  // Why the device is its owner's now, in words; none: potluck may compute. Asked about once a
  // second.
  std::optional<std::string> look(Time now, const OwnerActivity& seen);

 private:
  void weigh(Time now, double share);

  const Courtesy courtesy_;
  bool busy_ = false, hot_ = false;
  std::optional<Time> since_;  // when the share began to speak against busy_
};

}  // namespace potluck
