// A conversation's ids are the chat prompt's, and answers stay as they were generated.
#include "coordinator/text/conversation.h"

#include <gtest/gtest.h>

#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {
namespace {

class ConversationTest : public testing::Test {
 protected:
  int32_t id(const char* token) const { return tokenizer_.id_of(token); }
  // Frame's text to ids.
  std::vector<int32_t> ids(const std::string& text) const { return tokenizer_.encode(text); }
  std::string text(const Conversation& chat) const { return tokenizer_.decode(chat.ids()); }
  void answer(Conversation& chat, const std::string& said) const {
    chat.answer(ids(said), end_ids_);
  }

  const Tokenizer tokenizer_{open_model(POTLUCK_GOLDEN "/nano")->vocabulary()};
  const std::vector<int32_t> end_ids_ = tokenizer_.stop_ids({1});
};

constexpr char kEmptyThought[] = "<|channel>thought\n<channel|>";

TEST_F(ConversationTest, TheFirstQuestionIsTheChatPrompt) {
  for (const bool reasoning : {false, true})
    for (const char* system : {"", "be brief"}) {
      Conversation chat(tokenizer_, {reasoning}, system);
      chat.ask("why?");
      std::vector<ChatTurn> turns = {{Role::user, "why?"}};
      if (*system) turns.insert(turns.begin(), {Role::system, system});
      EXPECT_EQ(chat.ids(), chat_prompt(tokenizer_, turns, {reasoning}));
    }
}

// An empty thought in the history makes the model think where it should not.
TEST_F(ConversationTest, TheHistoryIsTheTemplates) {
  for (const bool reasoning : {false, true}) {
    Conversation chat(tokenizer_, {reasoning}, "");
    chat.ask("a");
    answer(chat, reasoning ? "<|channel>thought\nhm<channel|>b<turn|>" : "b<turn|>");
    EXPECT_EQ(chat.ids().size(), chat.least());
    EXPECT_EQ(text(chat).find("thought"), std::string::npos) << text(chat);
    chat.ask("c");
    const std::vector<ChatTurn> turns = {{Role::user, "a"}, {Role::model, "b"}, {Role::user, "c"}};
    EXPECT_EQ(chat.ids(), chat_prompt(tokenizer_, turns, {reasoning}));
    EXPECT_EQ(text(chat).ends_with(kEmptyThought), !reasoning) << text(chat);
  }
}

TEST_F(ConversationTest, AnAnswerStaysAsItWasGenerated) {
  Conversation chat(tokenizer_, {false}, "");
  chat.ask("a");
  const std::vector<int32_t> odd = {id("<0x62>"), id("<0x62>"), id("<turn|>")};
  chat.answer(odd, end_ids_);
  std::vector<int32_t> expected = ids("<bos><|turn>user\na<turn|>\n<|turn>model\n");
  expected.insert(expected.end(), odd.begin(), odd.end());
  const std::vector<int32_t> rest = ids("\n<|turn>user\nc<turn|>\n<|turn>model\n");
  expected.insert(expected.end(), rest.begin(), rest.end());
  const std::vector<int32_t> thought = ids(kEmptyThought);
  expected.insert(expected.end(), thought.begin(), thought.end());
  chat.ask("c");
  EXPECT_EQ(chat.ids(), expected);
}

TEST_F(ConversationTest, EveryAnswerEndsItsTurn) {
  for (const char* said : {"b<turn|>", "b<eos>", "b<|tool_response>", "b"}) {
    Conversation chat(tokenizer_, {true}, "");
    chat.ask("a");
    answer(chat, said);
    EXPECT_TRUE(text(chat).ends_with("<|turn>model\nb<turn|>\n")) << said << ": " << text(chat);
  }
}

TEST_F(ConversationTest, AThoughtThatWasCutIsForgottenWhole) {
  Conversation chat(tokenizer_, {true}, "");
  chat.ask("a");
  answer(chat, "x<|channel>thought\nlong and");
  EXPECT_TRUE(text(chat).ends_with("model\nx<turn|>\n")) << text(chat);
}

TEST_F(ConversationTest, TheOldestRoundsGoFirstAndTheLastStays) {
  Conversation chat(tokenizer_, {true}, "be brief");
  for (const char* question : {"one", "two", "three"}) {
    if (chat.rounds()) answer(chat, "yes");
    chat.ask(question);
  }
  const size_t all = chat.ids().size();
  EXPECT_EQ(chat.forget_oldest(all), 0);
  EXPECT_EQ(chat.forget_oldest(all - 1), 1);
  EXPECT_EQ(text(chat).find("one"), std::string::npos);
  EXPECT_NE(text(chat).find("two"), std::string::npos);
  EXPECT_EQ(chat.forget_oldest(0), 1);
  EXPECT_EQ(chat.ids().size(), chat.least());
  EXPECT_NE(text(chat).find("be brief"), std::string::npos);
  EXPECT_NE(text(chat).find("three"), std::string::npos);
}

TEST_F(ConversationTest, AQuestionCanBeTakenBack) {
  Conversation chat(tokenizer_, {false}, "");
  const std::vector<int32_t> before = chat.ids();
  chat.ask("never mind");
  chat.take_back();
  EXPECT_EQ(chat.ids(), before);
}

}  // namespace
}  // namespace potluck
