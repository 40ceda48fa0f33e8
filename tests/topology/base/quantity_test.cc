// Times, rates and powers are read as people write them, and refused by name.
#include "topology/base/quantity.h"

#include <gtest/gtest.h>

#include "topology/base/fault.h"

namespace potluck {
namespace {

std::string refusal_of_quantity(double (*parse)(const std::string&), const std::string& text) {
  try {
    return "it was read as " + std::to_string(parse(text));
  } catch (const Fault& fault) {
    return fault.what();
  }
}

TEST(Quantity, UnitsAreReadAsPeopleWriteThem) {
  EXPECT_DOUBLE_EQ(parse_ms("0.3ms"), 0.3);
  EXPECT_DOUBLE_EQ(parse_ms("250 us"), 0.25);
  EXPECT_DOUBLE_EQ(parse_ms("1.5s"), 1500);
  EXPECT_DOUBLE_EQ(parse_ms("2m"), 120000);
  EXPECT_DOUBLE_EQ(parse_mbit_per_s("940mbit"), 940);
  EXPECT_DOUBLE_EQ(parse_mbit_per_s("2.5 Gbit/s"), 2500);
  EXPECT_DOUBLE_EQ(parse_mbit_per_s("800kbps"), 0.8);
  EXPECT_DOUBLE_EQ(parse_watts("0.3kW"), 300);
}

TEST(Quantity, WhatIsWrittenIsReadBack) {
  for (double ms : {0.000123, 0.31, 2.125, 999.5, 12345.6, 3.6e6})
    EXPECT_NEAR(parse_ms(exact_ms_text(ms)), ms, ms * 5e-3) << exact_ms_text(ms);
  for (double rate : {0.05, 46.5, 940.0, 2500.0, 9400.0, 1e6})
    EXPECT_NEAR(parse_mbit_per_s(exact_mbit_text(rate)), rate, rate * 5e-3)
        << exact_mbit_text(rate);
  EXPECT_EQ(exact_ms_text(0.31), "0.31ms");
  EXPECT_EQ(exact_mbit_text(2500), "2.5gbit");
}

TEST(Quantity, AnythingElseIsRefusedByName) {
  for (const char* text : {"", "ms", "3", "1e3ms", "3 minutes", "1.2.3ms", ".5ms", "0x1ms", "nan"})
    EXPECT_EQ(refusal_of_quantity(parse_ms, text),
              "\"" + std::string(text) + "\" is not a time; write a number and a unit: 0.3ms");
  for (const char* text : {"0ms", "-3ms", "61m"})
    EXPECT_EQ(refusal_of_quantity(parse_ms, text),
              "\"" + std::string(text) + "\" is out of range; it must be above 0 and at most 60m");
  EXPECT_EQ(refusal_of_quantity(parse_mbit_per_s, "110MB/s"),
            "\"110MB/s\" is not a rate; write a number and a unit: 940mbit or 2.5gbit");
  EXPECT_EQ(refusal_of_quantity(parse_watts, "0.5W"),
            "\"0.5W\" is out of range; it must be 1W to 10000W");
}

}  // namespace
}  // namespace potluck
