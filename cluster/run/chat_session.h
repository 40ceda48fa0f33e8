// ChatSession: a conversation over a loaded ring. The ring's session keeps what it has encoded, so
// a question encodes only what is missing there: the rest of the last answer, the turn's end and
// the question.
//
// When the context is nearly full, the oldest rounds are forgotten, down to half of it, and what
// remains is encoded anew. Without a conversation (--raw) each question stands alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/ring/ring.h"
#include "coordinator/text/conversation.h"

namespace potluck {

// Tokens that an answer behind so many prompt tokens may have: whole canvases of what the context
// has left, and no more than `wanted` (kUntilTheEnd: no other limit).
int tokens_at_most(int wanted, size_t prompt, int canvas, int ctx_size);

class ChatSession final {
 public:
  struct Setup {
    Request base;        // seed and generation
    int max_tokens = 0;  // -n; kUntilTheEnd
    int canvas = 0;
  };
  ChatSession(Ring& ring, const Tokenizer& tokenizer, std::optional<Conversation> conversation,
              Setup setup);

  // The request that answers `text`. Throws Fault{input} if it cannot fit; nothing is changed then.
  Request open(const std::string& text);
  // Its answer, remembered. After a Fault what was finished of the answer is remembered, or, if
  // nothing was, the question is forgotten.
  RequestResult ask(Request request, PipelineEvents events);

  int wanted() const { return setup_.max_tokens; }
  void clear();
  int just_forgotten() const { return just_forgotten_; }  // rounds, by the last open()

 private:
  Request open_round(const std::string& text);
  void remember(const std::vector<int32_t>& ids);
  void end_session();

  Ring& ring_;
  const Tokenizer& tokenizer_;
  std::optional<Conversation> conversation_;
  const Setup setup_;
  uint64_t session_ = 0;          // 0: none is open
  std::vector<int32_t> encoded_;  // what it holds
  uint32_t answers_ = 0;
  int just_forgotten_ = 0;
};

}  // namespace potluck
