// The JSON reader takes every kind of value, has limits, and names what it refuses.
#include "topology/model/json_text.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>

#include "topology/base/fault.h"

namespace potluck {
namespace {

std::string refusal_of_json(const std::function<void()>& read) {
  try {
    read();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
    EXPECT_EQ(fault.where(), "x.json");
    std::printf("%s\n", fault.what());
    return fault.what();
  }
  return "read";
}

std::string refusal_of_json(const std::string& text) {
  return refusal_of_json([&] { parse_json(text, "x.json"); });
}

void expect(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(JsonText, ReadsEveryKindOfValue) {
  const auto root =
      parse_json(R"({"a":[1,-2,3.5,true,null,"x",{"b":[]}],"c":{"d":18446744073709551615}})", "x");
  EXPECT_EQ(root, nlohmann::json::parse(
                      R"({"a":[1,-2,3.5,true,null,"x",{"b":[]}],"c":{"d":18446744073709551615}})"));
  EXPECT_EQ(parse_json("7", "x"), 7);
}

TEST(JsonText, DepthHasALimit) {
  const auto nested = [](int depth) { return repeated("[", depth) + repeated("]", depth); };
  EXPECT_EQ(refusal_of_json(nested(64)), "read");
  expect(refusal_of_json(nested(65)), "JSON nested more than 64 deep");
  expect(refusal_of_json(repeated("{\"a\":", 1'000'000)), "JSON nested more than 64 deep");
  expect(refusal_of_json(repeated("[", 10'000'000)), "JSON nested more than 64 deep");
}

TEST(JsonText, KeysStandOnce) {
  expect(refusal_of_json(R"({"a":1,"b":{"a":2},"a":3})"), "\"a\" appears twice");
  EXPECT_EQ(refusal_of_json(R"([{"a":1},{"a":2}])"), "read");
}

TEST(JsonText, BrokenTextNamesThePlace) {
  expect(refusal_of_json("{\"a\":1,\n}"), "not valid JSON: parse error at line 2, column 1");
  expect(refusal_of_json(""), "not valid JSON");
  expect(refusal_of_json("1 2"), "not valid JSON");
  expect(refusal_of_json("\"\xFF\""), "not valid JSON");
  expect(refusal_of_json("[1e999]"), "not valid JSON: number overflow");
}

TEST(JsonText, FieldsAreRefusedByNameAndValue) {
  const auto root = parse_json(
      R"({"i":7,"big":4294967296,"f":1.5,"t":"text","l":[1,"x"],"o":{},"n":null,"neg":[-1]})", "x");
  const JsonFields fields(root, "x.json");
  EXPECT_EQ(fields.integer("i"), 7);
  EXPECT_EQ(fields.integer_or("n", 3), 3);
  EXPECT_EQ(fields.integers("i"), std::vector<int>{7});
  EXPECT_EQ(fields.number("f"), 1.5);
  EXPECT_EQ(fields.text("t"), "text");
  expect(refusal_of_json([&] { fields.integer("none"); }), "\"none\" is missing");
  expect(refusal_of_json([&] { fields.integer("big"); }),
         "\"big\" is 4294967296; it must be a whole");
  expect(refusal_of_json([&] { fields.integer("f"); }), "\"f\" is 1.5; it must be a whole number");
  expect(refusal_of_json([&] { fields.integer("t"); }),
         "\"t\" is \"text\"; it must be a whole number");
  expect(refusal_of_json([&] { fields.integers("l"); }), "\"l\" is \"x\"; it must be");
  expect(refusal_of_json([&] { fields.integers("o"); }), "\"o\" is an object; it must be");
  expect(refusal_of_json([&] { fields.number("l"); }), "\"l\" is a list; it must be a number");
  expect(refusal_of_json([&] { fields.text("n"); }), "\"n\" is null; it must be a text");
  expect(refusal_of_json([&] { fields.texts("l"); }), "\"l\" is 1; it must be a list of texts");
  expect(refusal_of_json([&] { fields.sizes("neg"); }),
         "\"neg\" is -1; it must be a list of sizes");
  expect(refusal_of_json([&] { fields.object("l"); }), "\"l\" is a list; it must be an object");
  expect(refusal_of_json([&] { JsonFields(root.at("l"), "x.json"); }),
         "holds a list where an object");
}

TEST(Fault, IsOneLineWhateverItQuotes) {
  const Fault fault(FaultKind::input, "tensor \"a\nb\x01\xFF K\xC3\xBC\"", "x\r");
  EXPECT_STREQ(fault.what(), "x?: tensor \"a?b?? K\xC3\xBC\"");
  EXPECT_LT(Fault(FaultKind::input, std::string(1 << 20, 'x')).text().size(), 2100u);
}

}  // namespace
}  // namespace potluck
