// An answer's ids become text piece by piece, with thoughts apart from what is said.
#include "coordinator/text/answer_text.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>

#include "topology/model/locator.h"
#include "topology/model/model_source.h"
#include "topology/model/tokenizer_json.h"

namespace potluck {
namespace {

class AnswerTextTest : public testing::Test {
 protected:
  AnswerText read(const std::string& text) const {
    return answer_text(tokenizer_, tokenizer_.encode(text));
  }
  void expect_pieces_add_up(const std::vector<int32_t>& ids) const {
    const AnswerText whole = answer_text(tokenizer_, ids);
    EXPECT_EQ(whole.thought, "hm 😀\n");
    EXPECT_EQ(whole.answer, "wörld 世界 😀");
    for (size_t cut = 0; cut <= ids.size(); ++cut) {
      AnswerReader reader(tokenizer_);
      AnswerText sum;
      for (const AnswerText& part :
           {reader.push({ids.data(), cut}), reader.push({ids.data() + cut, ids.size() - cut}),
            reader.finish()}) {
        sum.thought += part.thought;
        sum.answer += part.answer;
      }
      EXPECT_EQ(sum.thought, whole.thought) << cut;
      EXPECT_EQ(sum.answer, whole.answer) << cut;
    }
  }

  const Tokenizer tokenizer_{open_model(POTLUCK_GOLDEN "/nano")->vocabulary()};
};

TEST_F(AnswerTextTest, ThoughtsStandApartWithoutTheirName) {
  const AnswerText text = read("<|channel>thought\none\ntwo<channel|>three");
  EXPECT_EQ(text.thought, "one\ntwo");
  EXPECT_EQ(text.answer, "three");
}

TEST_F(AnswerTextTest, AnEmptyThoughtIsNone) {
  const AnswerText text = read("<|channel>thought\n<channel|>yes");
  EXPECT_EQ(text.thought, "");
  EXPECT_EQ(text.answer, "yes");
}

TEST_F(AnswerTextTest, ControlTokensAreNoText) {
  EXPECT_EQ(read("a<pad>b<|think|>c<|turn>d<turn|>").answer, "abcd");
}

TEST_F(AnswerTextTest, TokensThatCarryMeaningAreText) {
  const std::string call = "<|tool_call>call:get_weather{city:<|\"|>Paris, <|\"|>,n:2}<tool_call|>";
  EXPECT_EQ(read("<|channel>thought\nhm<channel|>" + call).answer, call);
}

// The published tokenizer.json calls all added tokens special.
TEST_F(AnswerTextTest, ACheckpointAndItsGgufAgreeOnWhichTokensCarryMeaning) {
  std::ifstream file(POTLUCK_GOLDEN "/nano/tokenizer.json");
  nlohmann::json json = nlohmann::json::parse(file);
  for (nlohmann::json& token : json.at("added_tokens")) token["special"] = true;
  const Vocabulary published = parse_tokenizer_json(json.dump(), "tokenizer.json", 1024);
  const Vocabulary gguf = open_model(POTLUCK_GOLDEN "/nano/model-bf16.gguf")->vocabulary();
  for (size_t id = 0; id < json.at("added_tokens").size(); ++id)
    EXPECT_EQ(published.types[id], gguf.types[id]) << gguf.tokens[id];
}

struct Spoken {
  const char *ids, *thought, *answer;
};
void PrintTo(const Spoken& spoken, std::ostream* out) {
  *out << spoken.ids;
}

class Channels : public AnswerTextTest, public testing::WithParamInterface<Spoken> {};

TEST_P(Channels, TellThoughtsFromWhatIsSaid) {
  const AnswerText text = read(GetParam().ids);
  EXPECT_EQ(text.thought, GetParam().thought);
  EXPECT_EQ(text.answer, GetParam().answer);
}

TEST_P(Channels, KeepTheIdsOfWhatIsSaid) {
  const AnswerText text = answer_text(tokenizer_, tokenizer_.encode(GetParam().ids));
  EXPECT_EQ(tokenizer_.decode(text.ids, true), GetParam().answer);
}

INSTANTIATE_TEST_SUITE_P(
    Answers, Channels,
    testing::Values(
        Spoken{"<|channel>final\nhello<channel|>", "", "hello"},
        Spoken{"<|channel>thought\na<channel|><|channel>final\nb<channel|>c", "a", "bc"},
        Spoken{"thought\na\n<channel|>b", "a\n", "b"}, Spoken{"thought\na", "", "thought\na"},
        Spoken{"thoughtful<channel|>b", "", "thoughtfulb"}, Spoken{"thought<channel|>b", "", "b"},
        Spoken{"thought\na<|channel>thought\nb<channel|>c", "b", "thought\nac"},
        Spoken{"a<channel|>thought\nb<channel|>c", "", "athought\nbc"},
        Spoken{"<|channel>\na<channel|>b", "a", "b"},
        Spoken{"<|channel>thought<channel|>b", "", "b"}, Spoken{"<|channel>final", "", ""},
        Spoken{"<|channel>Hello there<channel|>", "", "Hello there"},
        Spoken{"x<|channel>thought\nlong and", "long and", "x"},
        Spoken{"a<|channel>thought\nb<|channel>thought\nc<channel|>d", "bc", "ad"},
        Spoken{"", "", ""}, Spoken{"<channel|>", "", ""}, Spoken{"<|channel>", "", ""}));

TEST_F(AnswerTextTest, AnAnswerGoesOnInTheChannelThatItsPromptOpened) {
  const auto behind = [this](const std::string& prompt, const std::string& said) {
    AnswerReader reader(tokenizer_, tokenizer_.encode(prompt));
    const AnswerText text = reader.push(tokenizer_.encode(said)), rest = reader.finish();
    return "[" + text.thought + rest.thought + "]" + text.answer + rest.answer;
  };
  EXPECT_EQ(behind("x<tool_response|><|channel>thought\n", "hm<channel|>yes"), "[hm]yes");
  EXPECT_EQ(behind("<|channel>thought\nI", "ch<channel|>yes"), "[ch]yes");
  EXPECT_EQ(behind("<|channel>", "thought\nhm<channel|>yes"), "[hm]yes");
  EXPECT_EQ(behind("<|channel>thou", "ght\nhm<channel|>yes"), "[hm]yes");
  EXPECT_EQ(behind("<|channel>final\n", "hm<channel|>yes"), "[]hmyes");
  EXPECT_EQ(behind("<|channel>thought\n<channel|>", "thought\nhm<channel|>yes"), "[hm]yes");
  EXPECT_EQ(behind("<|channel>thought\n<channel|>", "yes"), "[]yes");
}

TEST_F(AnswerTextTest, PiecesAddUpToTheWhole) {
  for (const char* opener : {"<|channel>", ""}) {
    const std::vector<int32_t> ids =
        tokenizer_.encode(opener + std::string("thought\nhm 😀\n<channel|>wörld 世界 😀"));
    expect_pieces_add_up(ids);
  }
}

}  // namespace
}  // namespace potluck
