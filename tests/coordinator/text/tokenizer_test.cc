// The tokenizer meets recorded ids in both directions, whole and in pieces.
#include "coordinator/text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/model/locator.h"
#include "topology/model/tokenizer_json.h"

namespace potluck {
namespace {

using nlohmann::json;

json read_json(const std::string& path) {
  return json::parse(std::ifstream(path));
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Tokenizer from_json(const std::string& folder) {
  constexpr int kRows = 1 << 12;  // more than any of these models has
  const std::string path = folder + "/tokenizer.json";
  return Tokenizer(parse_tokenizer_json(read_text(path), path, kRows));
}

class TokenizerCases : public testing::TestWithParam<const char*> {
 protected:
  std::string folder_ = std::string(POTLUCK_GOLDEN "/") + GetParam();
  json cases_ = read_json(folder_ + "/tokenizer_cases.json");
};

TEST_P(TokenizerCases, AgreeInBothDirections) {
  const Tokenizer tokenizer = from_json(folder_);
  ASSERT_FALSE(cases_.empty());
  for (const json& c : cases_) {
    const auto text = c.at("text").get<std::string>();
    const auto ids = c.at("ids").get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids), c.at("decoded").get<std::string>()) << text;
  }
}

TEST_P(TokenizerCases, PiecesMakeTheWholeText) {
  const Tokenizer tokenizer = from_json(folder_);
  for (const json& c : cases_) {
    StreamDecoder decoder(tokenizer, false);
    std::string text;
    for (int32_t id : c.at("ids").get<std::vector<int32_t>>()) text += decoder.push(id);
    EXPECT_EQ(text + decoder.finish(), c.at("decoded").get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, TokenizerCases,
                         testing::Values("nano", "window", "scaled", "kquant"));

TEST(Tokenizer, GgufAndTokenizerJsonHoldTheSameVocabulary) {
  const Vocabulary a = open_model(POTLUCK_GOLDEN "/nano/model-bf16.gguf")->vocabulary();
  const Vocabulary b = open_model(POTLUCK_GOLDEN "/nano")->vocabulary();
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.merges, b.merges);
}

// A table may have more rows than the tokenizer has tokens, and the model may choose any of them.
TEST(Tokenizer, IdsWithoutATokenAreSilent) {
  const Tokenizer tokenizer = from_json(POTLUCK_GOLDEN "/nano");
  const int32_t last = tokenizer.size() - 1;
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{last}), "");
  EXPECT_FALSE(tokenizer.is_special(last) || tokenizer.is_byte(last));
  EXPECT_THROW(tokenizer.decode(std::vector<int32_t>{last + 1}), Fault);
}

TEST(Tokenizer, WhatLooksSpecialCanBePlainText) {
  const Tokenizer tokenizer = from_json(POTLUCK_GOLDEN "/nano");
  const int32_t bos = tokenizer.id_of("<bos>");
  EXPECT_EQ(tokenizer.encode("<bos>"), std::vector<int32_t>{bos});
  for (int32_t id : tokenizer.encode("<bos>", false)) EXPECT_NE(id, bos);
}

}  // namespace
}  // namespace potluck
