// AnswerReader turns an answer's ids into text as they come, and keeps apart what the model thinks
// and what it says.
//
// The model thinks in a channel: `<|channel>thought\n … <channel|>`. The opener may be missing: the
// prompt ended with it, or an answer begins with `thought\n` and a closer follows. A channel
// without a name is a thought too; what a channel of another name holds is said.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coordinator/text/tokenizer.h"

namespace potluck {

struct AnswerText {
  std::string thought;       // what thoughts hold, without the channel's name
  std::string answer;        // the rest; control tokens and the channels' own are no text
  std::vector<int32_t> ids;  // of what is said: without thoughts, and without names of channels
};

class AnswerReader final {
 public:
  // prompt: what the answer follows.
  explicit AnswerReader(const Tokenizer& tokenizer, std::span<const int32_t> prompt = {});
  // Gives the text that is certain by now and was not before.
  AnswerText push(std::span<const int32_t> ids);
  AnswerText finish();

 private:
  enum class Part { start, name, thought, answer };

  void go_on_from(std::span<const int32_t> prompt);
  void add(const std::string& text, std::span<const int32_t> ids, AnswerText& to);
  void say(const std::string& text, std::span<const int32_t> ids, AnswerText& to);
  void add_name(AnswerText& to);
  void add_start(AnswerText& to);
  void give_up_held(AnswerText& to);
  void open(AnswerText& to);
  void close(AnswerText& to);

  const Tokenizer& tokenizer_;
  StreamDecoder decoder_;
  const int32_t open_, close_;
  Part part_ = Part::start;
  std::string held_;  // of a start or a name: what it belongs to is not known yet
  std::vector<int32_t> held_ids_;
};

// A whole answer.
AnswerText answer_text(const Tokenizer& tokenizer, std::span<const int32_t> ids);

}  // namespace potluck
