// Makes each question's request from the conversation, and remembers its answer.
#include "cluster/run/chat_session.h"

#include <algorithm>
#include <utility>

namespace potluck {

ChatSession::ChatSession(Answerer& ring, const Tokenizer& tokenizer,
                         std::optional<Conversation> conversation, Setup setup)
    : ring_(ring),
      tokenizer_(tokenizer),
      conversation_(std::move(conversation)),
      setup_(std::move(setup)) {}

Request ChatSession::open(const std::string& text) {
  const int ctx_size = ring_.plan().ctx_size;
  Request request = setup_.base;
  if (conversation_) {
    request.prompt = open_round(text);
    request.session = session_;
    request.keep_session = true;
  } else {
    request.prompt = raw_prompt(tokenizer_, text, request.generation);
    check_prompt_fits(request.prompt.size(), setup_.canvas, ctx_size);
  }
  request.answer = answers_++;
  request.max_tokens =
      tokens_at_most(setup_.max_tokens, request.prompt.size(), setup_.canvas, ctx_size);
  return request;
}

std::vector<int32_t> ChatSession::open_round(const std::string& text) {
  const int ctx_size = ring_.plan().ctx_size;
  conversation_->ask(text);
  try {
    check_prompt_fits(conversation_->least(), setup_.canvas, ctx_size);
  } catch (const Fault&) {
    conversation_->take_back();
    throw;
  }
  const int most = ctx_size - setup_.canvas;
  const bool full = conversation_->ids().size() > static_cast<size_t>(most);
  just_forgotten_ =
      full ? conversation_->forget_oldest(static_cast<size_t>(std::min(most, ctx_size / 2))) : 0;
  return conversation_->ids();
}

RequestResult ChatSession::ask(Request request, RequestEvents events) {
  std::vector<int32_t> finished;
  events.canvas_done = [&finished,
                        shown = std::move(events.canvas_done)](const CanvasReport& report) {
    finished.insert(finished.end(), report.ids.begin(), report.ids.end());
    if (shown) shown(report);
  };
  try {
    const RequestResult result = ring_.ask(std::move(request), std::move(events));
    if (!conversation_) return result;
    session_ = result.session;
    remember(result.ids);
    return result;
  } catch (const Fault&) {
    end_session();
    if (conversation_) remember(finished);
    throw;
  }
}

void ChatSession::clear() {
  end_session();
  if (conversation_) conversation_->clear();
}

void ChatSession::remember(const std::vector<int32_t>& ids) {
  if (ids.empty())
    conversation_->take_back();
  else
    conversation_->answer(ids, setup_.base.generation.eos_ids);
}

void ChatSession::end_session() {
  if (session_) ring_.close_session(session_);
  session_ = 0;
}

}  // namespace potluck
