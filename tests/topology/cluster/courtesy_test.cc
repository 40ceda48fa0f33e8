// A worker leaves its device when its owner needs it, and neither flutters nor stays away for ever.
#include "topology/cluster/courtesy.h"

#include <gtest/gtest.h>

#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr int kNoon = 12 * 60;

class Courtesies : public testing::Test {
 protected:
  // Seconds that `share` lasts; whether the worker is away at its end.
  bool away_after(double seconds_long, double share, YieldRule& rule) {
    std::optional<std::string> why;
    for (double at = 0; at <= seconds_long; ++at, time_ += from_seconds(1))
      why = rule.look(time_, {share, 0, 0, kNoon});
    return why.has_value();
  }

  Time time_;
};

std::string refusal_of_courtesy(const std::string& text) {
  try {
    parse_courtesy(text);
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "taken";
}

TEST_F(Courtesies, AreReadAsTheFlagHasThem) {
  const Courtesy all = parse_courtesy("busy,hours=22:00-08:00,temperature=80");
  EXPECT_TRUE(all.when_busy);
  EXPECT_EQ(all.hours, "22:00-08:00");
  EXPECT_EQ(all.celsius_max, 80);
  EXPECT_TRUE(yields(all));
  EXPECT_EQ(courtesy_text(all), "busy,hours=22:00-08:00,temperature=80");
  EXPECT_EQ(courtesy_text({}), "");
  EXPECT_FALSE(parse_courtesy("temperature=80").when_busy);
  EXPECT_FALSE(yields({}));
  EXPECT_TRUE(is_within_hours(parse_courtesy("hours=22:00-24:00").hours, 24 * 60 - 1));
  EXPECT_FALSE(is_within_hours("22:00-24:00", 0));
  EXPECT_TRUE(is_within_hours("00:00-24:00", 0));
}

TEST_F(Courtesies, WhatIsWrongIsNamed) {
  for (const auto& [text, part] :
       {std::pair<std::string, std::string>{"bsy", "did you mean \"busy\"?"},
        {"", "knows no \"\""},
        {"busy,", "knows no \"\""},
        {"hours=22:00", "hours=22:00 is no span of a day"},
        {"hours=24:00-08:00", "no span"},
        {"hours=22:00-08:60", "no span"},
        {"hours=22:00-24:01", "no span"},
        {"hours=-1:00-08:00", "no span"},
        {"hours=22:00-22:00", "hours=22:00-22:00 ends as it begins; give two times"},
        {"hours=22.00-08.00", "no span"},
        {"temperature=hot", "no number of degrees"},
        {"temperature=", "no number of degrees"},
        {"temperature=20", "30"},
        {"temperature=200", "120"}})
    EXPECT_NE(refusal_of_courtesy(text).find(part), std::string::npos)
        << text << ": " << refusal_of_courtesy(text);
}

TEST_F(Courtesies, HoursMayGoOverMidnight) {
  for (const auto& [hours, minute, within] :
       {std::tuple<const char*, int, bool>{"22:00-08:00", 23 * 60, true},
        {"22:00-08:00", 0, true},
        {"22:00-08:00", 8 * 60, false},
        {"22:00-08:00", 22 * 60, true},
        {"09:30-17:00", 9 * 60 + 29, false},
        {"09:30-17:00", 9 * 60 + 30, true},
        {"09:30-17:00", 17 * 60, false},
        {"12:00-12:00", 0, true}})
    EXPECT_EQ(is_within_hours(hours, minute), within) << hours << " " << minute;
}

TEST_F(Courtesies, AMomentOfWorkSendsNobodyAwayAndAMomentOfRestBringsNobodyBack) {
  YieldRule rule({.when_busy = true});
  EXPECT_FALSE(away_after(kBusySeconds - 2, 0.9, rule));
  EXPECT_FALSE(away_after(1, 0.0, rule));
  EXPECT_FALSE(away_after(kBusySeconds - 2, 0.9, rule));
  EXPECT_TRUE(away_after(4, 0.9, rule));
  EXPECT_TRUE(away_after(kQuietSeconds - 2, 0.0, rule));
  EXPECT_TRUE(away_after(1, 0.9, rule));
  EXPECT_TRUE(away_after(kQuietSeconds - 2, 0.0, rule));
  EXPECT_FALSE(away_after(4, 0.0, rule));
}

TEST_F(Courtesies, BetweenBusyAndQuietNothingChanges) {
  YieldRule rule({.when_busy = true});
  EXPECT_FALSE(away_after(1000, 0.2, rule));
  EXPECT_TRUE(away_after(10, 0.5, rule));
  EXPECT_TRUE(away_after(1000, 0.2, rule));
}

TEST_F(Courtesies, ACardInUseCountsAsACoreDoes) {
  YieldRule rule({.when_busy = true});
  std::optional<std::string> why;
  for (int second = 0; second < 10; ++second, time_ += from_seconds(1))
    why = rule.look(time_, {0, 0.8, 0, kNoon});
  EXPECT_EQ(why, "its owner uses it");
}

TEST_F(Courtesies, AHotDeviceComesBackOnlyOnceItIsCooler) {
  YieldRule rule({.celsius_max = 80});
  const auto away_at = [&](int celsius) {
    return rule.look(time_, {0, 0, celsius, kNoon}).has_value();
  };
  EXPECT_FALSE(away_at(80));
  EXPECT_TRUE(away_at(81));
  EXPECT_TRUE(away_at(75));
  EXPECT_FALSE(away_at(80 - kCooler));
  EXPECT_FALSE(away_at(0));
}

TEST_F(Courtesies, SayWhy) {
  YieldRule rule({.hours = "22:00-08:00", .celsius_max = 80});
  EXPECT_EQ(rule.look(time_, {0, 0, 90, kNoon}), "its hours are 22:00-08:00");
  EXPECT_EQ(rule.look(time_, {0, 0, 90, 0}), "it is 90 °C hot, more than 80");
  EXPECT_EQ(rule.look(time_, {1, 1, 50, 0}), std::nullopt);
}

}  // namespace
}  // namespace potluck
