// Builds prompts from pieces, of which only the frame's own may hold special tokens.
#include "coordinator/text/chat_template.h"

#include <utility>

#include "topology/base/fault.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr char kModelTurn[] = "<|turn>model\n", kTurnEnd[] = "<turn|>\n";
constexpr char kThoughtBegin[] = "<|channel>thought\n", kThoughtEnd[] = "<channel|>";

// A piece of the prompt: the frame's own text, whose specials count, or somebody's words.
struct Piece {
  std::string text;
  bool frame;
};

std::string trim(const std::string& text) {
  return std::string(trimmed(text));
}

const char* role_name(Role role) {
  return role == Role::system ? "system" : role == Role::user ? "user" : "model";
}

// A tool's result is a part of the model's turn.
bool is_models(const ChatTurn& turn) {
  return turn.role == Role::model || turn.role == Role::tool;
}

void add(std::vector<Piece>& pieces, std::vector<Piece> more) {
  for (Piece& piece : more) pieces.push_back(std::move(piece));
}

std::vector<Piece> opening(const std::string* system, const ChatOptions& options) {
  std::vector<Piece> pieces = {{"<bos>", true}};
  if (!system && !options.reasoning) return pieces;
  pieces.push_back({"<|turn>system\n", true});
  if (options.reasoning) pieces.push_back({"<|think|>\n", true});
  if (system) pieces.push_back({trim(*system), false});
  pieces.push_back({kTurnEnd, true});
  return pieces;
}

// Gives an answer without its thoughts (`<|channel>…<channel|>`).
std::string strip_reasoning(const std::string& answer) {
  constexpr char kOpen[] = "<|channel>", kClose[] = "<channel|>";
  std::string text = answer;
  for (size_t open = text.find(kOpen); open != std::string::npos; open = text.find(kOpen)) {
    const size_t close = text.find(kClose, open);
    text.erase(open, close == std::string::npos ? close : close + sizeof(kClose) - 1 - open);
  }
  return text;
}

std::vector<Piece> content(const ChatTurn& turn) {
  if (turn.role == Role::tool)
    return {{"<|tool_response>", true}, {"response:" + turn.name + "{value:", false},
            {"<|\"|>", true},           {turn.text, false},
            {"<|\"|>", true},           {"}", false},
            {"<tool_response|>", true}};
  return {{trim(turn.role == Role::model ? strip_reasoning(turn.text) : turn.text), false}};
}

std::vector<Piece> user_turn(const std::string& text) {
  return {{"<|turn>user\n", true}, {trim(text), false}, {kTurnEnd, true}};
}

std::vector<Piece> cue(const ChatOptions& options) {
  if (options.reasoning) return {};
  return {{std::string(kThoughtBegin) + kThoughtEnd, true}};
}

// Behind a tool's result the model's turn goes on, and with reasoning on so does its thought.
std::vector<Piece> generation_prompt(bool after_tool, const ChatOptions& options) {
  if (after_tool && !options.reasoning) return {};
  if (after_tool) return {{kThoughtBegin, true}};
  std::vector<Piece> pieces = {{kModelTurn, true}};
  add(pieces, cue(options));
  return pieces;
}

std::vector<Piece> pieces_of(const std::vector<ChatTurn>& turns, const ChatOptions& options) {
  const bool system = !turns.empty() && turns[0].role == Role::system;
  const bool after_tool = !turns.empty() && turns.back().role == Role::tool;
  std::vector<Piece> pieces = opening(system ? &turns[0].text : nullptr, options);
  for (size_t i = system ? 1 : 0; i < turns.size(); ++i) {
    const bool last = i + 1 == turns.size(), models = is_models(turns[i]);
    // Consecutive answers share one model turn.
    if (!models || i == 0 || !is_models(turns[i - 1]))
      pieces.push_back({std::string("<|turn>") + role_name(turns[i].role) + "\n", true});
    add(pieces, content(turns[i]));
    if (last ? !after_tool : !models || !is_models(turns[i + 1]))
      pieces.push_back({kTurnEnd, true});
  }
  add(pieces, generation_prompt(after_tool, options));
  return pieces;
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, const std::vector<Piece>& pieces) {
  std::vector<int32_t> ids;
  for (const Piece& piece : pieces) {
    const std::vector<int32_t> part = tokenizer.encode(piece.text, piece.frame);
    ids.insert(ids.end(), part.begin(), part.end());
  }
  return ids;
}

}  // namespace

void check_chat_tokens(const Tokenizer& tokenizer, const ChatOptions& options) {
  std::vector<const char*> needed = {"<bos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>"};
  if (options.reasoning) needed.push_back("<|think|>");
  for (const char* token : needed)
    if (const int32_t id = tokenizer.id_of(token); id < 0 || !tokenizer.is_special(id))
      throw Fault(FaultKind::input,
                  std::string("the vocabulary has no special token ") + token +
                      ", which the chat format needs",
                  Fix{"give the prompt without the chat format", Setting::chat_format});
}

std::vector<int32_t> chat_prompt(const Tokenizer& tokenizer, const std::vector<ChatTurn>& turns,
                                 const ChatOptions& options) {
  check_chat_tokens(tokenizer, options);
  return ids_of(tokenizer, pieces_of(turns, options));
}

std::vector<int32_t> chat_opening(const Tokenizer& tokenizer, const std::string& system,
                                  const ChatOptions& options) {
  check_chat_tokens(tokenizer, options);
  return ids_of(tokenizer, opening(system.empty() ? nullptr : &system, options));
}

std::vector<int32_t> chat_question(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<Piece> pieces = user_turn(text);
  pieces.push_back({kModelTurn, true});
  return ids_of(tokenizer, pieces);
}

std::vector<int32_t> chat_cue(const Tokenizer& tokenizer, const ChatOptions& options) {
  return ids_of(tokenizer, cue(options));
}

std::vector<int32_t> chat_turn_end(const Tokenizer& tokenizer) {
  return ids_of(tokenizer, {{kTurnEnd, true}});
}

std::string chat_text(const std::vector<ChatTurn>& turns, const ChatOptions& options) {
  std::string text;
  for (const Piece& piece : pieces_of(turns, options)) text += piece.text;
  return text;
}

std::vector<int32_t> raw_prompt(const Tokenizer& tokenizer, const std::string& text,
                                const GenerationSpec& generation) {
  std::vector<int32_t> ids = tokenizer.encode(text, true);
  const bool begun = !ids.empty() && ids[0] == generation.bos_id;
  if (generation.add_bos && !begun) ids.insert(ids.begin(), generation.bos_id);
  return ids;
}

}  // namespace potluck
