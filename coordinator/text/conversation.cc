// Keeps a chat's rounds as ids, with thoughts taken out.
#include "coordinator/text/conversation.h"

#include "coordinator/canvas.h"
#include "coordinator/text/answer_text.h"
#include "topology/base/check.h"

namespace potluck {

Conversation::Conversation(const Tokenizer& tokenizer, const ChatOptions& options,
                           const std::string& system)
    : tokenizer_(tokenizer),
      opening_(chat_opening(tokenizer, system, options)),
      cue_(chat_cue(tokenizer, options)) {}

void Conversation::ask(const std::string& text) {
  rounds_.push_back({chat_question(tokenizer_, text), {}});
}

void Conversation::answer(std::span<const int32_t> ids, std::span<const int32_t> end_ids) {
  CHECK(!rounds_.empty() && rounds_.back().answer.empty());
  std::vector<int32_t> kept = answer_text(tokenizer_, without_end(ids, end_ids)).ids;
  const std::vector<int32_t> end = chat_turn_end(tokenizer_);
  kept.insert(kept.end(), end.begin(), end.end());
  rounds_.back().answer = std::move(kept);
}

void Conversation::take_back() {
  CHECK(!rounds_.empty() && rounds_.back().answer.empty());
  rounds_.pop_back();
}

int Conversation::forget_oldest(size_t most) {
  int forgotten = 0;
  for (; rounds_.size() > 1 && ids().size() > most; ++forgotten) rounds_.erase(rounds_.begin());
  return forgotten;
}

std::vector<int32_t> Conversation::ids() const {
  std::vector<int32_t> ids = opening_;
  for (const Round& round : rounds_) {
    ids.insert(ids.end(), round.question.begin(), round.question.end());
    const std::vector<int32_t>& rest = round.answer.empty() ? cue_ : round.answer;
    ids.insert(ids.end(), rest.begin(), rest.end());
  }
  return ids;
}

size_t Conversation::least() const {
  if (rounds_.empty()) return opening_.size();
  const Round& last = rounds_.back();
  return opening_.size() + last.question.size() + (last.answer.empty() ? cue_ : last.answer).size();
}

}  // namespace potluck
