// Makes each question's request from the conversation, and remembers its answer.
#include "cluster/run/chat_session.h"

#include <algorithm>
#include <utility>

#include "cluster/run/run_flags.h"
#include "topology/base/check.h"

namespace potluck {

int tokens_at_most(int wanted, size_t prompt, int canvas, int ctx_size) {
  const int room = (ctx_size - static_cast<int>(prompt)) / canvas * canvas;
  return wanted == kUntilTheEnd ? room : std::min(wanted, room);
}

ChatSession::ChatSession(Ring& ring, const Tokenizer& tokenizer,
                         std::optional<Conversation> conversation, Setup setup)
    : ring_(ring),
      tokenizer_(tokenizer),
      conversation_(std::move(conversation)),
      setup_(std::move(setup)) {}

Request ChatSession::open(const std::string& text) {
  Request request = conversation_ ? open_round(text) : setup_.base;
  if (!conversation_) {
    request.prompt = raw_prompt(tokenizer_, text, request.generation.bos_id);
    check_prompt_fits(request.prompt.size(), setup_.canvas, ring_.plan().ctx_size);
  }
  request.answer = answers_++;
  request.max_tokens = tokens_at_most(setup_.max_tokens, encoded_.size() + request.prompt.size(),
                                      setup_.canvas, ring_.plan().ctx_size);
  return request;
}

Request ChatSession::open_round(const std::string& text) {
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
  const std::vector<int32_t> ids = conversation_->ids();
  if (!std::equal(encoded_.begin(), encoded_.end(), ids.begin(),
                  ids.begin() + static_cast<long>(std::min(encoded_.size(), ids.size()))))
    end_session();
  Request request = setup_.base;
  request.prompt.assign(ids.begin() + static_cast<long>(encoded_.size()), ids.end());
  request.continue_session = session_;
  request.keep_session = true;
  return request;
}

RequestResult ChatSession::ask(Request request, PipelineEvents events) {
  const std::vector<int32_t> prompt = request.prompt;
  std::vector<int32_t> finished;
  events.canvas_done = [&finished, shown = std::move(events.canvas_done)](
                           uint64_t id, const std::vector<int32_t>& ids) {
    finished.insert(finished.end(), ids.begin(), ids.end());
    if (shown) shown(id, ids);
  };
  try {
    const RequestResult result = ring_.ask(std::move(request), std::move(events));
    if (!conversation_) return result;
    session_ = result.session;
    encoded_.insert(encoded_.end(), prompt.begin(), prompt.end());
    const long committed = static_cast<long>(result.ids.size() - result.uncommitted.size());
    encoded_.insert(encoded_.end(), result.ids.begin(), result.ids.begin() + committed);
    CHECK(encoded_.size() == static_cast<size_t>(result.kv_length), encoded_.size(),
          result.kv_length);
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
  encoded_.clear();
}

}  // namespace potluck
