// JSON holds any text and drives no terminal.
#include "cluster/cli/json_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace potluck {
namespace {

TEST(JsonLine, EscapesWhatATerminalWouldObeyAndKeepsTheText) {
  const nlohmann::json value = {{"text", "a\x1b[2J\u009B\u202E\u2028世😀\x7f"}};
  const std::string line = json_line(value);
  EXPECT_EQ(line, "{\"text\":\"a\\u001b[2J\\u009b\\u202e\\u2028世😀\\u007f\"}");
  EXPECT_EQ(nlohmann::json::parse(line), value);
}

TEST(JsonLine, BytesThatAreNoUtf8AreReplaced) {
  EXPECT_EQ(json_line(nlohmann::json("a\xff")), "\"a\uFFFD\"");
}

}  // namespace
}  // namespace potluck
