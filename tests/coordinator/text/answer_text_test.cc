// An answer's ids become text piece by piece, with thoughts apart from what is said.
#include "coordinator/text/answer_text.h"

#include <gtest/gtest.h>

#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {
namespace {

class AnswerTextTest : public testing::Test {
 protected:
  AnswerText read(const std::string& text) const {
    return answer_text(tokenizer_, tokenizer_.encode(text));
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

TEST_F(AnswerTextTest, SpecialTokensAreNoText) {
  EXPECT_EQ(read("a<pad>b<turn|>").answer, "ab");
}

TEST_F(AnswerTextTest, PiecesAddUpToTheWhole) {
  const std::vector<int32_t> ids =
      tokenizer_.encode("<|channel>thought\nhm 😀\n<channel|>wörld 世界 😀");
  const AnswerText whole = answer_text(tokenizer_, ids);
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

}  // namespace
}  // namespace potluck
