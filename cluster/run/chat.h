// Talks with a person at a terminal, over a chat session.
#pragma once

#include "cluster/run/chat_session.h"
#include "cluster/terminal/answer_view.h"
#include "coordinator/text/tokenizer.h"

namespace potluck {

struct ChatPlace {
  const Tokenizer& tokenizer;
  Display display;
  std::string model;  // its name in the greeting
  int canvas = 0;
  bool raw = false;
  bool verbose = false;  // what is asked goes to the log
};

// Reads and answers messages until /bye or Ctrl-D. Ctrl-C stops an answer, and the ring stays
// loaded. Throws Fault when the ring fails, and Fault{canceled} after TERM.
void chat(Answerer& ring, ChatSession& session, const ChatPlace& place);

}  // namespace potluck
