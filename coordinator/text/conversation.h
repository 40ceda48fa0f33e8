// A Conversation is a chat as the ids that a session holds, so that what is encoded stays encoded.
//
// An answer stays as it was generated; it is never decoded and tokenized anew. But thoughts must
// not be seen again: neither the model's own nor the empty one that a question ends with (reasoning
// off). So what an answer was encoded behind is not what the next question follows, and a session
// goes back to the last ids that are still right.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coordinator/text/chat_template.h"

namespace potluck {

class Conversation final {
 public:
  // system: may be empty. Throws Fault{input} if the vocabulary cannot hold a chat.
  Conversation(const Tokenizer& tokenizer, const ChatOptions& options, const std::string& system);

  // Opens a round: the user's turn, the beginning of the model's, and the cue (chat_template.h).
  void ask(const std::string& text);
  // Closes it. ids: as generated; one of end_ids may be the last and becomes the turn's end.
  void answer(std::span<const int32_t> ids, std::span<const int32_t> end_ids);
  // Forgets the open round.
  void take_back();
  // Forgets all rounds.
  void clear() { rounds_.clear(); }
  // Forgets the oldest rounds, never the last one, until ids() has at most `most` tokens. Returns
  // how many rounds it forgot.
  int forget_oldest(size_t most);

  int rounds() const { return rounds_.size(); }
  std::vector<int32_t> ids() const;  // what a session must hold before the next answer
  size_t least() const;              // tokens of the opening and the last round alone

 private:
  struct Round {
    std::vector<int32_t> question, answer;
  };
  const Tokenizer& tokenizer_;
  const std::vector<int32_t> opening_, cue_;
  std::vector<Round> rounds_;
};

}  // namespace potluck
