// ChatSession: a conversation over a loaded ring, in one session of it as long as that can be. Each
// question asks with the whole conversation; the coordinator encodes what the session lacks.
//
// When the context is nearly full, the oldest rounds are forgotten, down to half of it, and what
// remains is encoded anew. Without a conversation (--raw) each question stands alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/answerer.h"
#include "coordinator/text/conversation.h"

namespace potluck {

class ChatSession final {
 public:
  struct Setup {
    Request base;        // seed and generation
    int max_tokens = 0;  // -n; kUntilTheEnd
    int canvas = 0;
  };
  ChatSession(Answerer& ring, const Tokenizer& tokenizer, std::optional<Conversation> conversation,
              Setup setup);

  // The request that answers `text`. Throws Fault{input} if it cannot fit; nothing is changed then.
  Request open(const std::string& text);
  // Its answer, remembered. After a Fault what was finished of the answer is remembered, or, if
  // nothing was, the question is forgotten.
  RequestResult ask(Request request, RequestEvents events);

  int wanted() const { return setup_.max_tokens; }
  void clear();
  int just_forgotten() const { return just_forgotten_; }  // rounds, by the last open()

 private:
  std::vector<int32_t> open_round(const std::string& text);
  void remember(const std::vector<int32_t>& ids);
  void end_session();

  Answerer& ring_;
  const Tokenizer& tokenizer_;
  std::optional<Conversation> conversation_;
  const Setup setup_;
  uint64_t session_ = 0;  // 0: none is open
  uint32_t answers_ = 0;
  int just_forgotten_ = 0;
};

}  // namespace potluck
