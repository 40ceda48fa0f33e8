// AnswerReader turns an answer's ids into text as they come, and keeps apart what the model thinks
// and what it says.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "coordinator/text/tokenizer.h"

namespace potluck {

struct AnswerText {
  std::string thought;  // within <|channel>NAME\n … <channel|>, without the name
  std::string answer;   // the rest; special tokens are no text
};

class AnswerReader final {
 public:
  explicit AnswerReader(const Tokenizer& tokenizer);
  // Gives the text that is certain by now and was not before.
  AnswerText push(std::span<const int32_t> ids);
  AnswerText finish();

 private:
  void add(const std::string& text, AnswerText& to);

  StreamDecoder decoder_;
  int32_t open_, close_;
  bool thinking_ = false, naming_ = false;
};

// A whole answer.
AnswerText answer_text(const Tokenizer& tokenizer, std::span<const int32_t> ids);

}  // namespace potluck
