// Text of files and peers is trimmed and shown as Unicode has it, not as ASCII would.
#include "topology/base/utf8.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

TEST(Utf8, CodePointsAreReadFromAllLengths) {
  EXPECT_EQ(code_point("a"), U'a');
  EXPECT_EQ(code_point("é!"), U'é');
  EXPECT_EQ(code_point("世"), U'世');
  EXPECT_EQ(code_point("😀"), U'😀');
  EXPECT_EQ(code_point("\xff"), 0xFFFDu);
  EXPECT_EQ(code_point(""), 0xFFFDu);
}

TEST(Utf8, BlanksOfAllScriptsAreTrimmed) {
  for (const char* blank :
       {" ", "\t\r\n", "\v\f", "\x1c\x1f", "\u0085", "\u00A0", "\u1680", "\u2000", "\u2003",
        "\u200A", "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"}) {
    const std::string text = std::string(blank) + "a" + blank + "b" + blank;
    EXPECT_EQ(trimmed(text), std::string("a") + blank + "b") << text;
    EXPECT_EQ(trimmed(blank), "");
  }
  EXPECT_EQ(trimmed(""), "");
}

TEST(Utf8, OtherLettersAndBrokenBytesAreNotTrimmed) {
  for (const char* text : {"\u200B", "\u2060", "\uFEFF", "\x85", "\xA0", "\u3001", "\u180E"})
    EXPECT_EQ(trimmed(text), text);
}

TEST(Utf8, AnAnswerCannotDriveTheTerminal) {
  EXPECT_EQ(harmless("a\x1b]0;title\x07\tb\nc\u009B2J"), "a·]0;title·\tb\nc·2J");
  EXPECT_EQ(harmless("a\u202Eb\u2066c\u061Cd\u200Fe"), "abcde");
  EXPECT_EQ(harmless("a\u2028b\u2029c\u0085d\x7f\xff"), "a·b·c·d··");
  EXPECT_EQ(harmless("naïve 世界 😀 \uFFFD"), "naïve 世界 😀 \uFFFD");
}

TEST(Utf8, ANameIsAllToBeSeen) {
  for (const char* name : {"nas", "beside: me", "K\u00FCche", "Ku\u0308che", "\u4E16\u754C"})
    EXPECT_TRUE(is_plain_name(name)) << name;
  for (const char* name :
       {"", "a\x1b[2J", "a\nb", "a\u009Bb", "a\u200Bb", "a\u200Db", "\uFEFFa", "a\u202Eb",
        "a\u2066b", "a\u2028b", "a\u00ADb", "a\u00A0b", "a\u2060", "a\xff"})
    EXPECT_FALSE(is_plain_name(name)) << name;
}

TEST(Utf8, ALineForPeopleDrivesNoTerminal) {
  EXPECT_EQ(one_line("a\x1b[2J\n\x7f\u0080\u009B\u009F\u2028\u2029\xff b"), "a?[2J???????? b");
  EXPECT_EQ(one_line("\u061C\u200E\u200F\u202A\u202E\u2066\u2069"), "???????");
  EXPECT_EQ(one_line("naïve 世界 😀 e\u0301 \u00A0 \u3000"), "naïve 世界 😀 e\u0301 \u00A0 \u3000");
}

}  // namespace
}  // namespace potluck
