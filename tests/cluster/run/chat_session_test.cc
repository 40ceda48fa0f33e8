// A chat over real rings: what its sessions hold, and that nobody could tell from the answers.
#include "cluster/run/chat_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "cluster/cli/fault_line.h"
#include "cluster/cli/interrupt.h"
#include "cluster/ring/ring_plan.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {
namespace {

// One answer, with everything that would differ if a single bit of the ring's state did.
struct Answered {
  Request request;
  RequestResult result;
  std::vector<float> entropy;  // of each position of each step
};

class ChatSessionTest : public testing::TestWithParam<const char*> {
 protected:
  Ring make_ring(int stages, int ctx_size) const {
    RingOptions options;
    options.stages = stages;
    options.ctx_size = ctx_size;
    options.chunk = 5;
    return {source_, make_plan(*source_, options), {}};
  }

  ChatSession make_session(Ring& ring, int max_tokens) const {
    return {ring,
            tokenizer_,
            Conversation(tokenizer_, {false}, ""),
            {base_, max_tokens, source_->spec().canvas}};
  }

  static void record(Answered& answered, RequestEvents& events) {
    events.step = [&answered](const StepReport& report) {
      answered.entropy.insert(answered.entropy.end(), report.candidates->entropy.begin(),
                              report.candidates->entropy.end());
    };
  }

  static Answered say(ChatSession& session, const std::string& text) {
    Answered answered;
    answered.request = session.open(text);
    RequestEvents events;
    record(answered, events);
    answered.result = session.ask(answered.request, std::move(events));
    return answered;
  }

  // The whole conversation in one prompt of a new session.
  Answered from_scratch(Ring& ring, const Conversation& chat, Request request) const {
    Answered answered;
    request.prompt = chat.ids();
    request.session = 0;
    request.keep_session = false;
    RequestEvents events;
    record(answered, events);
    answered.result = ring.ask(request, std::move(events));
    return answered;
  }

  bool has_thought(std::span<const int32_t> ids) const {
    return std::find(ids.begin(), ids.end(), tokenizer_.id_of("<|channel>")) != ids.end();
  }
  bool commits_a_thought(const Answered& answered) const {
    const size_t prompt = answered.request.prompt.size();
    const size_t held = static_cast<size_t>(answered.result.kv_length);
    return has_thought(std::span(answered.result.ids).first(held - prompt));
  }

  const std::shared_ptr<const ModelSource> source_ =
      open_model(std::string(POTLUCK_GOLDEN) + GetParam());
  const Tokenizer tokenizer_{source_->vocabulary()};
  Request base_ = [this] {
    Request request;
    request.generation = source_->spec().generation;
    request.generation.eos_ids = tokenizer_.stop_ids(request.generation.eos_ids);
    request.generation.max_steps = 4;
    request.seed = 15;
    return request;
  }();
};

constexpr char kNano[] = "/nano";
INSTANTIATE_TEST_SUITE_P(Models, ChatSessionTest, testing::Values(kNano, "/nano/model-bf16.gguf"));

// Random weights may open a thought, which the history drops: then what was committed of the
// answer cannot stay encoded.
TEST_P(ChatSessionTest, GoingOnEqualsEncodingTheConversationFromScratch) {
  Ring ring = make_ring(2, 1024), other = make_ring(3, 1024);
  int reused = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    base_.seed = seed;
    // Two and a half canvases: two are committed and the third is not.
    ChatSession session = make_session(ring, source_->spec().canvas * 5 / 2);
    Conversation chat(tokenizer_, {false}, "");
    int held = 0;
    bool reusable = false;
    for (const char* question : {"Hello there", "And then? 世界", "a longer question, of words"}) {
      const Answered going_on = say(session, question);
      chat.ask(question);
      const Answered scratch = from_scratch(other, chat, going_on.request);
      EXPECT_EQ(going_on.result.ids, scratch.result.ids);
      EXPECT_EQ(going_on.entropy, scratch.entropy);
      EXPECT_EQ(going_on.result.kv_length, scratch.result.kv_length);
      EXPECT_EQ(going_on.result.reused, reusable ? held : 0);
      reused += reusable;
      EXPECT_EQ(going_on.request.prompt, chat.ids());
      held = going_on.result.kv_length;
      reusable = !commits_a_thought(going_on);
      chat.answer(going_on.result.ids, base_.generation.eos_ids);
    }
    session.clear();
  }
  EXPECT_GT(reused, 0);
}

TEST_P(ChatSessionTest, CommittedCanvasesAreNotEncodedTwice) {
  Ring ring = make_ring(1, 1024);
  const size_t canvas = static_cast<size_t>(source_->spec().canvas);
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    base_.seed = seed;
    ChatSession session = make_session(ring, static_cast<int>(3 * canvas));
    const Answered first = say(session, "Hello there");
    const bool long_and_thoughtless =
        first.result.ids.size() == 3 * canvas && !has_thought(first.result.ids);
    if (long_and_thoughtless) {
      const size_t end = chat_turn_end(tokenizer_).size();
      const Answered second = say(session, "go on");
      EXPECT_EQ(second.result.session, first.result.session);
      EXPECT_EQ(second.request.prompt.size() - static_cast<size_t>(second.result.reused),
                canvas + end + chat_question(tokenizer_, "go on", {false}).size());
      return;
    }
    session.clear();
  }
  FAIL() << "no seed gives an answer of three canvases without a thought";
}

TEST_P(ChatSessionTest, AnInterruptedAnswerLeavesTheRingAndItsFinishedCanvases) {
  Ring ring = make_ring(2, 1024), other = make_ring(1, 1024);
  ChatSession session = make_session(ring, 4 * source_->spec().canvas);
  catch_interrupts();
  const Request request = session.open("Hello there");
  RequestEvents events;
  std::vector<int32_t> finished;
  events.canvas_done = [&](const CanvasReport& report) {
    finished.insert(finished.end(), report.ids.begin(), report.ids.end());
    std::raise(SIGINT);
  };
  EXPECT_THROW(session.ask(request, std::move(events)), Fault);
  clear_interrupt();
  ASSERT_FALSE(finished.empty());

  Conversation chat(tokenizer_, {false}, "");
  chat.ask("Hello there");
  chat.answer(finished, base_.generation.eos_ids);
  chat.ask("again");
  const Answered next = say(session, "again");
  EXPECT_EQ(next.request.session, 0u);
  const Answered scratch = from_scratch(other, chat, next.request);
  EXPECT_EQ(next.result.ids, scratch.result.ids);
  EXPECT_EQ(next.entropy, scratch.entropy);
}

TEST_P(ChatSessionTest, AnInterruptBeforeAnythingWasFinishedForgetsTheQuestion) {
  Ring ring = make_ring(1, 1024);
  ChatSession session = make_session(ring, kUntilTheEnd);
  catch_interrupts();
  const Request request = session.open("never mind");
  RequestEvents events;
  events.step = [](const StepReport& report) {
    if (report.step == 0) std::raise(SIGINT);  // a second one would end this process
  };
  EXPECT_THROW(session.ask(request, std::move(events)), Fault);
  clear_interrupt();
  EXPECT_EQ(session.open("hello").prompt,
            chat_prompt(tokenizer_, {{Role::user, "hello"}}, {false}));
}

TEST_P(ChatSessionTest, AFullContextForgetsTheOldestAndGoesOn) {
  const int canvas = source_->spec().canvas, ctx_size = 8 * canvas;
  Ring ring = make_ring(1, ctx_size);
  ChatSession session = make_session(ring, canvas);
  int forgotten = 0;
  for (int i = 0; i < 8; ++i) {
    const Answered answered = say(session, "question " + std::to_string(i));
    EXPECT_LE(answered.result.kv_length + canvas, ctx_size);
    EXPECT_EQ(session.just_forgotten() > 0, answered.result.reused == 0 && i > 0);
    forgotten += session.just_forgotten();
  }
  EXPECT_GT(forgotten, 0);
  EXPECT_LT(forgotten, 8);
}

TEST_P(ChatSessionTest, AMessageThatCannotFitIsRefusedAndNothingIsForgotten) {
  Ring ring = make_ring(1, 128);
  ChatSession session = make_session(ring, source_->spec().canvas);
  const Answered first = say(session, "hello");
  try {
    session.open(std::string(500, 'x'));
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
    const std::string line = fault_line(fault);
    EXPECT_NE(line.find("this one has 128; raise the context (-c)"), std::string::npos) << line;
  }
  EXPECT_EQ(session.open("hello").session, first.result.session);
}

TEST_P(ChatSessionTest, ClearForgetsAll) {
  Ring ring = make_ring(1, 1024);
  ChatSession session = make_session(ring, source_->spec().canvas);
  const std::vector<int32_t> fresh = session.open("hello").prompt;
  session.clear();
  say(session, "something else");
  session.clear();
  const Answered again = say(session, "hello");
  EXPECT_EQ(again.request.prompt, fresh);
  EXPECT_EQ(again.request.session, 0u);
}

TEST_P(ChatSessionTest, RawMessagesStandAlone) {
  Ring ring = make_ring(1, 1024);
  ChatSession session(ring, tokenizer_, std::nullopt, {base_, 8, source_->spec().canvas});
  for (int i = 0; i < 2; ++i) {
    const Answered answered = say(session, "..4\n");
    EXPECT_EQ(answered.request.prompt, raw_prompt(tokenizer_, "..4\n", base_.generation.bos_id));
    EXPECT_EQ(answered.request.session, 0u);
  }
}

}  // namespace
}  // namespace potluck
