// Gemma 4's chat format as text (shard/MODEL.md §7.4), turned into ids so that what a person typed
// can never open or close a turn: the frame's special tokens are parsed, contents are not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/text/tokenizer.h"

namespace potluck {

enum class Role { system, user, model, tool };
struct ChatTurn {
  Role role = Role::user;
  std::string text;
  std::string name = "unknown";  // of the tool whose result the text is
};

struct ChatOptions {
  bool reasoning = false;  // off: the prompt ends with an empty thought
};

// Throws Fault{input} when the vocabulary lacks a special token that the format needs, naming it.
void check_chat_tokens(const Tokenizer& tokenizer, const ChatOptions& options);
// The whole prompt, BOS included, generation prompt last. Checks the tokens. Tests hold the parts
// below to it.
std::vector<int32_t> chat_prompt(const Tokenizer& tokenizer, const std::vector<ChatTurn>& turns,
                                 const ChatOptions& options);
// The same in parts, for a chat that goes on (conversation.h). The opening is BOS and the system
// turn, if there is one, and checks the tokens; a question is the user's turn and the beginning of
// the model's. The cue follows the last question alone: an empty thought with reasoning off, else
// nothing.
std::vector<int32_t> chat_opening(const Tokenizer& tokenizer, const std::string& system,
                                  const ChatOptions& options);
std::vector<int32_t> chat_question(const Tokenizer& tokenizer, const std::string& text);
std::vector<int32_t> chat_cue(const Tokenizer& tokenizer, const ChatOptions& options);
std::vector<int32_t> chat_turn_end(const Tokenizer& tokenizer);
// chat_prompt as text, specials spelled out (for tests).
std::string chat_text(const std::vector<ChatTurn>& turns, const ChatOptions& options);
// BOS + text, nothing else (`--raw`). No BOS where the model's file says so (add_bos), nor before a
// text that begins with one.
std::vector<int32_t> raw_prompt(const Tokenizer& tokenizer, const std::string& text,
                                const GenerationSpec& generation);

}  // namespace potluck
