// Tells thoughts from answers by their channel tokens, while ids come in.
#include "coordinator/text/answer_text.h"

namespace potluck {

AnswerReader::AnswerReader(const Tokenizer& tokenizer)
    : decoder_(tokenizer),
      open_(tokenizer.id_of("<|channel>")),
      close_(tokenizer.id_of("<channel|>")) {}

AnswerText AnswerReader::push(std::span<const int32_t> ids) {
  AnswerText text;
  for (int32_t id : ids) {
    add(decoder_.push(id), text);
    if (id == open_) thinking_ = naming_ = true;
    if (id == close_) thinking_ = false;
  }
  return text;
}

AnswerText AnswerReader::finish() {
  AnswerText text;
  add(decoder_.finish(), text);
  return text;
}

// A channel's name is its first line.
void AnswerReader::add(const std::string& text, AnswerText& to) {
  if (!thinking_) {
    to.answer += text;
    return;
  }
  const size_t line_end = naming_ ? text.find('\n') : 0;
  if (line_end == std::string::npos) return;
  to.thought += naming_ ? text.substr(line_end + 1) : text;
  naming_ = false;
}

AnswerText answer_text(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  AnswerReader reader(tokenizer);
  AnswerText text = reader.push(ids);
  const AnswerText rest = reader.finish();
  return {text.thought + rest.thought, text.answer + rest.answer};
}

}  // namespace potluck
