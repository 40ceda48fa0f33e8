// A chat over real rings: what its sessions hold, and that nobody could tell from the answers.
#include "cluster/run/chat_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "cluster/cli/fault_line.h"
#include "cluster/cli/interrupt.h"
#include "cluster/ring/ring.h"
#include "cluster/ring/ring_plan.h"
#include "topology/model/locator.h"
#include "topology/model/model_source.h"
#include "topology/plan/cost_model.h"

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

// The history lacks the cue that an answer was encoded behind, and a thought that random weights
// may open: the session goes back to where the answer began.
TEST_P(ChatSessionTest, GoingOnEqualsEncodingTheConversationFromScratch) {
  Ring ring = make_ring(2, 1024), other = make_ring(3, 1024);
  const int cue = static_cast<int>(chat_cue(tokenizer_, {false}).size());
  int went_back = 0, could_not = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    base_.seed = seed;
    // Half a canvas, one and a half, two and a half: the last one is not committed.
    const int halves = 2 * static_cast<int>(seed) - 1;
    ChatSession session = make_session(ring, source_->spec().canvas * halves / 2);
    Conversation chat(tokenizer_, {false}, "");
    int held = 0, right = 0;
    for (const char* question : {"Hello there", "And then? 世界", "a longer question, of words"}) {
      const Answered going_on = say(session, question);
      chat.ask(question);
      const Answered scratch = from_scratch(other, chat, going_on.request);
      EXPECT_EQ(going_on.result.ids, scratch.result.ids);
      EXPECT_EQ(going_on.entropy, scratch.entropy);
      EXPECT_EQ(going_on.result.kv_length, scratch.result.kv_length);
      const bool reaches = right >= least_kept(source_->spec(), ring.plan(), held);
      EXPECT_EQ(going_on.result.reused, reaches ? right : 0);
      went_back += reaches && right > 0;
      could_not += !reaches;
      EXPECT_EQ(going_on.request.prompt, chat.ids());
      held = going_on.result.kv_length;
      right = static_cast<int>(chat.ids().size()) - cue;
      chat.answer(going_on.result.ids, base_.generation.eos_ids);
    }
    session.clear();
  }
  EXPECT_GT(went_back, 0);
  EXPECT_GT(could_not, 0);
}

TEST_P(ChatSessionTest, WhatCameBeforeTheLastAnswerIsNotEncodedTwice) {
  Ring ring = make_ring(1, 1024);
  ChatSession session = make_session(ring, source_->spec().canvas);
  Answered last = say(session, "Hello there");
  for (int i = 0; i < 4; ++i) {
    const Answered next = say(session, "go on");
    EXPECT_EQ(next.result.session, last.result.session);
    EXPECT_EQ(next.result.reused,
              last.request.prompt.size() - chat_cue(tokenizer_, {false}).size());
    last = next;
  }
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
  const int opening = static_cast<int>(chat_opening(tokenizer_, "", {false}).size());
  int forgotten = 0;
  for (int i = 0; i < 8; ++i) {
    const Answered answered = say(session, "question " + std::to_string(i));
    EXPECT_LE(answered.result.kv_length + canvas, ctx_size);
    EXPECT_EQ(session.just_forgotten() > 0, answered.result.reused <= opening && i > 0);
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
    EXPECT_EQ(answered.request.prompt, raw_prompt(tokenizer_, "..4\n", base_.generation));
    EXPECT_EQ(answered.request.session, 0u);
  }
}

}  // namespace
}  // namespace potluck
